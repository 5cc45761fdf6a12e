import type { StageId } from '@limbeck/contracts'
import { isLeased } from '@limbeck/core'
import type { WorkerRow } from '../rows.ts'
import type { Queryable } from '../transaction.ts'
import { stateIs } from './states.ts'

/** Marks a sign of life; null where the project has no such worker. Index: primary key. */
export async function touchWorker(db: Queryable, project: string, worker: string): Promise<WorkerRow | null> {
  const { rows } = await db.query<WorkerRow>(
    'UPDATE worker SET last_seen_at = now() WHERE id = $1 AND project = $2 RETURNING *',
    [worker, project],
  )
  return rows[0] ?? null
}

/** A second registration of the same start of the agent gives the first one's id. Index: unique (project, name, boot_id). */
export async function upsertWorker(
  db: Queryable,
  worker: Omit<WorkerRow, 'registered_at' | 'last_seen_at' | 'drain_requested_at'>,
): Promise<{ id: WorkerRow['id']; fresh: boolean }> {
  const { rows } = await db.query<{ id: WorkerRow['id'] }>(
    `INSERT INTO worker (id, project, name, boot_id, resource_classes, memory_gb, gpu_count, labels, code_digest,
       environment, environment_digest)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
     ON CONFLICT (project, name, boot_id) DO UPDATE SET
       resource_classes = excluded.resource_classes, memory_gb = excluded.memory_gb, gpu_count = excluded.gpu_count,
       labels = excluded.labels, code_digest = excluded.code_digest, environment = excluded.environment,
       environment_digest = excluded.environment_digest, last_seen_at = now()
     RETURNING id`,
    [
      worker.id,
      worker.project,
      worker.name,
      worker.boot_id,
      worker.resource_classes,
      worker.memory_gb,
      worker.gpu_count,
      JSON.stringify(worker.labels),
      worker.code_digest,
      JSON.stringify(worker.environment),
      worker.environment_digest,
    ],
  )
  const id = rows[0]?.id ?? worker.id
  return { id, fresh: id === worker.id }
}

export type WorkerWithStage = WorkerRow & { stage_id: StageId | null; live: boolean }

/** Those heard of within `seconds_kept`, live ones first. Indexes: worker (project, last_seen_at), stage_running_partial. */
export async function selectWorkers(
  db: Queryable,
  project: string,
  live_seconds: number,
  seconds_kept: number,
): Promise<WorkerWithStage[]> {
  const { rows } = await db.query<WorkerWithStage>(
    `SELECT worker.*, worker.last_seen_at > now() - make_interval(secs => $2) AS live,
       (SELECT id FROM stage WHERE lease_worker = worker.id AND ${stateIs(isLeased)} LIMIT 1) AS stage_id
     FROM worker
     WHERE project = $1 AND last_seen_at > now() - make_interval(secs => $3)
     ORDER BY last_seen_at DESC LIMIT 1000`,
    [project, live_seconds, seconds_kept],
  )
  return rows
}
