import { join } from 'node:path'
import { type Config, closeWithin, type Logger, openObjectStore, repositoryRoot } from '@limbeck/platform'
import { closeStore, databaseFault, openStore, type StoreOptions } from '@limbeck/store'
import { type ApiContext, type App, WORKER_TIMES, type WorkerTimes } from './context.ts'
import { Doorbells } from './doorbells.ts'
import { EventHub } from './event-hub.ts'
import { healthChecks } from './health-checks.ts'
import { HeldRequests } from './held-requests.ts'
import { createMetrics } from './http-metrics.ts'
import { startLiveness } from './liveness.ts'
import { buildServer } from './server.ts'

export interface ApiOptions {
  readonly config: Config
  readonly log: Logger
  /** Prefix of BullMQ's keys; tests take their own. */
  readonly prefix?: string
  readonly times?: Partial<WorkerTimes>
  readonly store?: Omit<StoreOptions, 'url'>
  /** Folder of the built dashboard. Default apps/dashboard/dist; none is fine. */
  readonly dashboard?: string
  /** How long /v1/health says no before connections are closed: one period of a load balancer's probe. */
  readonly drain_ms?: number
}

export interface Api {
  readonly app: App
  readonly url: string
  /** The order of docs/api.md, "Stopping"; never longer than about 20 s. */
  stop(): Promise<void>
}

const CLOSE_LIMIT_MS = 10_000

/** Starts the API: connections, server, liveness. */
export async function startApi(options: ApiOptions): Promise<Api> {
  const { config, log, prefix = 'limbeck', drain_ms = 500 } = options
  const store = openStore({
    url: config.database_url,
    max_connections: 20,
    on_error: (error) => log.warn('postgres_connection_lost', { error }),
    ...options.store,
  })
  const objects = openObjectStore(config.s3)
  const doorbells = new Doorbells(config.redis_url, log, prefix)
  const hub = new EventHub(store, log)
  const checks = healthChecks(store, objects, config.redis_url, prefix)
  const stopping = new AbortController()
  const context: ApiContext = {
    config,
    store,
    objects,
    log,
    doorbells,
    hub,
    held: new HeldRequests(),
    metrics: createMetrics(),
    health: checks.health,
    protocol: { ...WORKER_TIMES, ...options.times },
    dashboard: options.dashboard ?? join(repositoryRoot, 'apps/dashboard/dist'),
    stopping: stopping.signal,
  }
  const app = await buildServer(context)
  const release = async () => {
    hub.stop()
    await doorbells.close()
    await checks.close()
    objects.destroy()
    await closeWithin(3_000, () => closeStore(store))
  }
  let url: string
  try {
    const fault = await databaseFault(store)
    if (fault !== null) throw new Error(fault)
    url = await app.listen({ host: config.api.host, port: config.api.port })
  } catch (error) {
    await release()
    throw error
  }
  const liveness = startLiveness(store, log)
  const stop = async () => {
    // Readiness first; held claims and heartbeats answer, streams end with a hint when to come again.
    stopping.abort()
    await new Promise((resolve) => setTimeout(resolve, drain_ms))
    await closeServer(app)
    await closeWithin(1_000, () => liveness.stop())
    await release()
  }
  return { app, url, stop }
}

/** Connections that become idle while the last answers go out would keep the server open for their keep-alive time. */
async function closeServer(app: App): Promise<void> {
  const idle = setInterval(() => app.server.closeIdleConnections(), 50)
  await closeWithin(CLOSE_LIMIT_MS, () => app.close())
  clearInterval(idle)
  app.server.closeAllConnections()
}
