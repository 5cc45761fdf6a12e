import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Digest, StageResult, WorkerId, WorkerRegister } from '@limbeck/contracts'
import type { Plan, PlannedStage } from '@limbeck/core'
import { afterAll } from 'vitest'
import type { z } from 'zod'
import { createTestDatabase } from '../../../../tests/support/stack.ts'
import {
  closeStore,
  ensureProject,
  migrate,
  newId,
  openStore,
  type RunSubmission,
  registerWorker,
  type Store,
  type StoreOptions,
  stampApiLiveness,
  submitRun,
} from '../../src/index.ts'
import { MIGRATIONS_PATH } from '../../src/schema/engine.ts'

/** Hash of all migrations: another schema gets another template. */
export function migrationsVersion(): string {
  const hash = createHash('sha256')
  for (const name of readdirSync(MIGRATIONS_PATH, { recursive: true, encoding: 'utf8' }).sort())
    if (name.endsWith('.sql')) hash.update(readFileSync(join(MIGRATIONS_PATH, name)))
  return hash.digest('hex')
}

/** A store on a database of its own, with the schema; no jitter, so that a retry is due at once. */
export async function testStore(options: Partial<StoreOptions> = {}): Promise<Store> {
  const database = await createTestDatabase({
    version: `store${migrationsVersion()}`,
    prepare: async (url) => {
      await migrate(url)
    },
  })
  const store = openStore({ url: database.url, random: () => 0, ...options })
  afterAll(() => closeStore(store))
  return store
}

/** A project of a name that no other test has. */
export async function testProject(store: Store): Promise<string> {
  const name = `p${randomBytes(6).toString('hex')}`
  await ensureProject(store, name)
  return name
}

export const unwrap = <T>(result: { ok: true; value: T } | { ok: false; error: unknown }): T => {
  if (!result.ok) throw new Error(`unexpected failure: ${JSON.stringify(result.error)}`)
  return result.value
}

export const sha = (text: string): Digest => createHash('sha256').update(text).digest('hex')
export const claimId = () => newId('clm')

export const result = (metrics: Record<string, number> = {}): StageResult => ({
  metrics,
  warnings: [],
  evaluations: [],
})

const environment = { torch: '2.13.0+cpu', device: 'cpu-x86_64', threads: 1, python: '3.11.2' }

export const addWorker = (
  store: Store,
  project: string,
  changes: Partial<z.infer<typeof WorkerRegister>> = {},
): Promise<WorkerId> =>
  registerWorker(store, project, {
    name: 'worker',
    boot_id: randomBytes(8).toString('hex'),
    resource_classes: ['cpu'],
    memory_gb: 8,
    gpu_count: 0,
    labels: {},
    code_digest: sha('code'),
    environment,
    ...changes,
  })

/** Stages that need each other as told: { b: ['a'] }. Each renders with a seed of its own, so that no two are equal. */
export function planOf(graph: Record<string, string[]>, changes: Partial<PlannedStage> = {}): Plan {
  const stages = Object.entries(graph).map(
    ([name, needs], index): PlannedStage => ({
      name,
      kind: 'render_dataset',
      spec: {
        kind: 'render_dataset',
        source: 'shapes',
        hold_out: 'shapes-v1',
        split: 'train',
        samples: 10,
        resolution: 64,
        samples_per_shard: 10,
        wrong_captions: 0,
        seed: index,
      },
      inputs: {},
      needs,
      resource_class: 'cpu',
      max_seconds: 3600,
      stall_seconds: 600,
      ...changes,
    }),
  )
  const recipe: Plan['recipe'] = {
    name: 'graph',
    version: 1,
    summary: '',
    licences: [],
    parameters: {},
    stages: stages.map(({ name, spec }) => ({
      name,
      spec,
      inputs: {},
      after: graph[name] ?? [],
      resource_class: 'cpu',
      max_seconds: 3600,
      stall_seconds: 600,
    })),
    gates: [],
    release: null,
  }
  return { recipe, stages, assets: [] }
}

export async function submit(
  store: Store,
  project: string,
  plan: Plan,
  changes: Partial<RunSubmission> = {},
) {
  const submitted = await submitRun(store, {
    project,
    submitted_by: 'test',
    plan,
    overrides: {},
    label: '',
    priority: 50,
    cache: 'off',
    cache_salt: '',
    idempotency: null,
    ...changes,
  })
  return unwrap(submitted).run
}

/** As if the object store held this tree and it had been hashed. */
export async function storeTree(store: Store, digest: Digest): Promise<void> {
  await store.pool.query(
    `INSERT INTO artifact (digest, kind, object_key, size, manifest) VALUES ($1, 'tree', $1, 0, $2)
     ON CONFLICT DO NOTHING`,
    [digest, JSON.stringify({ format: 'limbeck-tree-1', files: [] })],
  )
}

/** A replica of the API that has been up for long: leases may be judged. */
export async function apiIsUp(store: Store): Promise<void> {
  await stampApiLiveness(store, 'replica')
  await store.pool.query("UPDATE api_liveness SET up_since = now() - interval '1 hour'")
}
