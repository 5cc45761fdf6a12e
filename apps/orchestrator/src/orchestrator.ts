import { type Config, closeWithin, type Logger, openObjectStore } from '@limbeck/platform'
import { closeStore, databaseFault, openStore, type StoreOptions } from '@limbeck/store'
import { cleanUpRound } from './clean-up.ts'
import { openDispatchQueues } from './dispatch-queues.ts'
import { gatesRound } from './gates.ts'
import { startLeadership } from './leadership.ts'
import { type Loop, startLoop } from './loop.ts'
import { reconcileRound } from './reconciler.ts'
import { relayRound } from './relay.ts'
import { Verifier } from './verifier.ts'

export interface OrchestratorOptions {
  readonly config: Config
  readonly log: Logger
  /** Prefix of BullMQ's keys; tests take their own. */
  readonly prefix?: string
  readonly store?: Omit<StoreOptions, 'url'>
  /** Tests do not wait five seconds. */
  readonly reconcile_ms?: number
}

export interface Orchestrator {
  stop(): Promise<void>
}

const STOP_LIMIT_MS = 15_000

/**
 * Everything that goes on without being asked for. Waits for servers that are away.
 * @throws Error where the database's settings are wrong
 */
export async function startOrchestrator(options: OrchestratorOptions): Promise<Orchestrator> {
  const { config, log, prefix = 'limbeck', reconcile_ms = 5_000 } = options
  const store = openStore({
    url: config.database_url,
    max_connections: 10,
    on_error: (error) => log.warn('postgres_connection_lost', { error }),
    ...options.store,
  })
  const fault = await databaseFault(store)
  if (fault !== null) {
    await closeStore(store)
    throw new Error(fault)
  }
  const objects = openObjectStore(config.s3)
  const queues = openDispatchQueues(config.redis_url, prefix)
  const leadership = startLeadership(store, log)
  const verifier = new Verifier(store, objects, log)

  const lead = (name: string, idle_ms: number, round: (signal: AbortSignal) => Promise<boolean>): Loop =>
    startLoop({ name, log, idle_ms, round: async (signal) => leadership.held() && round(signal) })
  const loops = [
    // Short pauses: each is one indexed statement, and their sum is what a user waits between two stages.
    lead('relay', 40, () => relayRound(store, queues, log)),
    lead('verification', 80, (signal) => verifier.round(signal)),
    lead('gates', 250, () => gatesRound(store, log)),
    lead('reconciler', reconcile_ms, () => reconcileRound(store, queues, log)),
    lead('clean_up', 60_000, () => cleanUpRound(store, objects, log)),
  ]
  return {
    async stop() {
      await closeWithin(STOP_LIMIT_MS, ...loops.map((loop) => () => loop.stop()))
      await closeWithin(2_000, () => leadership.stop())
      await queues.close()
      objects.destroy()
      await closeWithin(3_000, () => closeStore(store))
    },
  }
}
