import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Result } from '@limbeck/core'
import type { Config, Logger, ObjectStore } from '@limbeck/platform'
import type { Store, StoreFailure } from '@limbeck/store'
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Doorbells } from './doorbells.ts'
import type { EventHub } from './event-hub.ts'
import type { HeldRequests } from './held-requests.ts'
import type { HttpMetrics } from './http-metrics.ts'
import { ProblemError } from './problem.ts'

/** What route handlers work with. */
export interface ApiContext {
  readonly config: Config
  readonly store: Store
  readonly objects: ObjectStore
  readonly log: Logger
  readonly doorbells: Doorbells
  readonly hub: EventHub
  /** Heartbeats by stage. */
  readonly held: HeldRequests
  readonly metrics: HttpMetrics
  readonly health: Health
  readonly protocol: WorkerTimes
  /** Folder of the built dashboard; it may not be there. */
  readonly dashboard: string
  /** Aborted when the server begins to stop: held requests answer at once. */
  readonly stopping: AbortSignal
}

/** A check throws, or takes longer than its limit, when its server does not work. */
export type Health = Readonly<Record<'postgres' | 'redis' | 's3', () => Promise<void>>>

/** Waits of the worker protocol, in seconds. */
export interface WorkerTimes {
  /** Longest hold of a claim. */
  readonly claim_wait_seconds: number
  /** A waiting claim asks Postgres this often, whether Redis answers or not. */
  readonly claim_poll_seconds: number
  readonly heartbeat_hold_seconds: number
  /** A held heartbeat looks for a cancel this often. */
  readonly heartbeat_poll_seconds: number
  /** Silence after which an agent saves a checkpoint and stops its group. */
  readonly outage_seconds: number
}

export const WORKER_TIMES: WorkerTimes = {
  claim_wait_seconds: 20,
  claim_poll_seconds: 2,
  heartbeat_hold_seconds: 10,
  heartbeat_poll_seconds: 1,
  outage_seconds: 600,
}

export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>

/** The value, or the store's refusal as the problem that it is. */
export function settled<T>(result: Result<T, StoreFailure>): T {
  if (result.ok) return result.value
  const { code, detail, gates } = result.error
  throw new ProblemError(code, detail, {
    ...(gates === undefined
      ? {}
      : {
          gates: gates.map(({ name, measured, required, detail: compared }) => ({
            name,
            measured,
            required,
            detail: compared,
          })),
        }),
  })
}
