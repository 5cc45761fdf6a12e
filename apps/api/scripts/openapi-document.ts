import { createLogger, openObjectStore } from '@limbeck/platform'
import { closeStore, openStore } from '@limbeck/store'
import { type ApiContext, WORKER_TIMES } from '../src/context.ts'
import { Doorbells } from '../src/doorbells.ts'
import { EventHub } from '../src/event-hub.ts'
import { HeldRequests } from '../src/held-requests.ts'
import { createMetrics } from '../src/http-metrics.ts'
import { buildServer } from '../src/server.ts'

interface Operation {
  summary: string
  responses: Record<string, unknown>
}
export interface Document {
  openapi: string
  paths: Record<string, Record<string, Operation>>
}

/** The description of the routes. No server is needed: nothing here connects before a request comes. */
export async function openApiDocument(): Promise<Document> {
  const log = createLogger({ level: 'silent', service: 'openapi' })
  const s3 = {
    endpoint: 'http://127.0.0.1:1',
    public_endpoint: 'http://127.0.0.1:1',
    bucket: 'none',
    access_key_id: 'none',
    secret_access_key: 'none',
    region: 'us-east-1',
  }
  const store = openStore({ url: 'postgresql://none@127.0.0.1:1/none' })
  const objects = openObjectStore(s3)
  const nothing = async () => {}
  const context: ApiContext = {
    config: { s3 } as ApiContext['config'],
    store,
    objects,
    log,
    doorbells: new Doorbells('redis://127.0.0.1:1', log),
    hub: new EventHub(store, log),
    held: new HeldRequests(),
    metrics: createMetrics(),
    health: { postgres: nothing, redis: nothing, s3: nothing },
    protocol: WORKER_TIMES,
    dashboard: '',
    stopping: new AbortController().signal,
  }
  const app = await buildServer(context)
  try {
    await app.ready()
    return JSON.parse(JSON.stringify(app.swagger()))
  } finally {
    await app.close()
    objects.destroy()
    await closeStore(store)
  }
}
