/**
 * A control plane of a test's own: API and orchestrator in this process, on a database, a bucket and a key prefix of
 * their own, on the shared real servers. What a user reaches over HTTP is reached over HTTP here.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Scope } from '@limbeck/contracts'
import { type Config, createLogger, repositoryRoot } from '@limbeck/platform'
import {
  closeStore,
  createToken,
  ensureProject,
  migrate,
  newTokenSecret,
  openStore,
  type Store,
  type Timing,
} from '@limbeck/store'
import { afterAll, onTestFailed } from 'vitest'
import { type Api, startApi, type WorkerTimes } from '../../../apps/api/src/index.ts'
import { type Orchestrator, startOrchestrator } from '../../../apps/orchestrator/src/index.ts'
import { createTestDatabase, stackConfig, testBucket, testRedisPrefix } from '../../support/stack.ts'
import { Client } from './client.ts'

export interface PlaneOptions {
  readonly timing?: Partial<Timing>
  readonly times?: Partial<WorkerTimes>
  readonly redis_url?: string
  readonly dashboard?: string
  /** Default true. */
  readonly orchestrator?: boolean
}

export interface Plane {
  readonly config: Config
  readonly api: Api
  readonly store: Store
  /** Everything that was logged, a line an entry. */
  readonly lines: string[]
  readonly secrets: Record<Scope, string>
  /** A client of the first replica, or of `api`. */
  as(scope: Scope, api?: Api): Client
  withToken(secret: string | null): Client
  addOrchestrator(): Promise<Orchestrator>
  /** A second replica on the same state. */
  addApi(): Promise<Api>
}

const SCOPES: readonly Scope[] = ['viewer', 'submitter', 'promoter', 'admin', 'worker', 'device']

function migrationsVersion(): string {
  const folder = join(repositoryRoot, 'prisma/migrations')
  const hash = createHash('sha256')
  for (const name of readdirSync(folder, { recursive: true }).map(String).sort())
    if (name.endsWith('.sql')) hash.update(name).update(readFileSync(join(folder, name)))
  return hash.digest('hex').slice(0, 24)
}

export async function startPlane(options: PlaneOptions = {}): Promise<Plane> {
  const { timing = {}, times = {}, redis_url } = options
  const database = await createTestDatabase({
    version: migrationsVersion(),
    prepare: async (url) => {
      await migrate(url)
    },
  })
  const stack = stackConfig()
  const config: Config = {
    ...stack,
    database_url: database.url,
    redis_url: redis_url ?? stack.redis_url,
    s3: await testBucket(),
    api: { host: '127.0.0.1', port: 0 },
  }
  const lines: string[] = []
  const log = createLogger({
    level: 'debug',
    service: 'test',
    destination: { write: (line) => lines.push(line) },
  })
  const prefix = testRedisPrefix()
  const store = openStore({ url: database.url, max_connections: 3, timing })
  await ensureProject(store, 'default')
  const secrets = {} as Record<Scope, string>
  for (const scope of SCOPES) {
    secrets[scope] = newTokenSecret()
    await createToken(store, {
      project: 'default',
      name: `test ${scope}`,
      scopes: [scope],
      expires_days: null,
      secret: secrets[scope],
    })
  }
  const parts: { stop(): Promise<void> }[] = []
  const addApi = async () => {
    const api = await startApi({
      config,
      log,
      prefix,
      times,
      drain_ms: 0,
      ...(options.dashboard === undefined ? {} : { dashboard: options.dashboard }),
      store: { timing, max_connections: 8 },
    })
    parts.push(api)
    return api
  }
  const addOrchestrator = async () => {
    const orchestrator = await startOrchestrator({
      config,
      log,
      prefix,
      reconcile_ms: 200,
      store: { timing, max_connections: 6 },
    })
    parts.push(orchestrator)
    return orchestrator
  }
  const api = await addApi()
  if (options.orchestrator !== false) await addOrchestrator()
  afterAll(async () => {
    await Promise.all(parts.map((part) => part.stop()))
    await closeStore(store)
  })
  const withToken = (secret: string | null) => new Client(api.url, secret)
  return {
    config,
    api,
    store,
    lines,
    secrets,
    as: (scope, replica = api) => new Client(replica.url, secrets[scope]),
    withToken,
    addOrchestrator,
    addApi,
  }
}

/** Call in `beforeEach`: a test that fails shows what was logged as a warning or worse since it began, each event once. */
export function showLogOnFailure({ lines }: Plane): void {
  const start = lines.length
  onTestFailed(() => {
    const grave = lines.slice(start).filter((line) => /"level":"(warn|error|fatal)"/.test(line))
    const byEvent = new Map(grave.map((line) => [JSON.parse(line).event, line]))
    if (byEvent.size > 0) console.error([...byEvent.values()].map((line) => line.slice(0, 1500)).join('\n'))
  })
}
