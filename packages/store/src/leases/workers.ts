import type { ResourceClass, WorkerId, WorkerRegister, WorkerView } from '@limbeck/contracts'
import { digestOf, ok } from '@limbeck/core'
import type { z } from 'zod'
import { notFound, type StoreResult } from '../failure.ts'
import { newId } from '../ids.ts'
import { iso } from '../rows.ts'
import { insertEvent } from '../sql/events.ts'
import { selectWorkers, touchWorker, upsertWorker, type WorkerWithStage } from '../sql/workers.ts'
import type { Store } from '../store.ts'
import { transaction } from '../transaction.ts'

type WorkerDto = z.infer<typeof WorkerView>

/** Workers not heard of for a day leave the list. */
const LIST_SECONDS = 24 * 3600

const viewOf = (row: WorkerWithStage): WorkerDto => ({
  id: row.id,
  name: row.name,
  resource_classes: row.resource_classes,
  environment: row.environment,
  code_digest: row.code_digest,
  memory_gb: row.memory_gb,
  gpu_count: row.gpu_count,
  labels: row.labels,
  last_seen_at: iso(row.last_seen_at),
  live: row.live,
  stage: row.stage_id,
})

/** Idempotent by (project, name, boot_id): the same start of an agent is the same worker. */
export const registerWorker = (
  store: Store,
  project: string,
  worker: z.infer<typeof WorkerRegister>,
): Promise<WorkerId> =>
  transaction(store, async (tx) => {
    const { id, fresh } = await upsertWorker(tx, {
      ...worker,
      id: newId('wrk'),
      project,
      environment_digest: digestOf(worker.environment),
    })
    if (fresh)
      await insertEvent(tx, {
        project,
        run: null,
        stage: null,
        type: 'worker.registered',
        payload: { worker: id, name: worker.name, resource_classes: worker.resource_classes },
      })
    return id
  })

/** Those heard of within a day, the latest first. */
export async function listWorkers(store: Store, project: string): Promise<WorkerDto[]> {
  return (await selectWorkers(store.pool, project, store.timing.lease_seconds, LIST_SECONDS)).map(viewOf)
}

/** Classes of a worker, which counts as heard of; null where the project has no such worker. */
export async function findWorkerClasses(
  store: Store,
  project: string,
  worker: string,
): Promise<readonly ResourceClass[] | null> {
  return (await touchWorker(store.pool, project, worker))?.resource_classes ?? null
}

/** Tells the worker to stop with a checkpoint and take nothing more. Failure: not_found. */
export async function drainWorker(store: Store, project: string, worker: string): StoreResult<WorkerDto> {
  await store.pool.query(
    'UPDATE worker SET drain_requested_at = coalesce(drain_requested_at, now()) WHERE id = $1 AND project = $2',
    [worker, project],
  )
  const view = (await listWorkers(store, project)).find(({ id }) => id === worker)
  return view === undefined ? notFound('worker', worker) : ok(view)
}
