import { isLeased } from '@limbeck/core'
import type { Queryable } from '../transaction.ts'
import { stateIs } from './states.ts'

export interface Progress {
  step: number
  total: number
  images_per_second: number | null
  loss: number | null
}

export interface HeartbeatRow {
  cancel: boolean
  drain: boolean
}

/**
 * Renews the lease in one statement that takes no lock of the run, so that beats never wait for a transition elsewhere
 * in the run. `progress_at` moves only when the step rises: it is what the stall alarm looks at. Index: primary keys.
 */
export async function renewLease(
  db: Queryable,
  fence: { worker: string; stage: string; epoch: number },
  lease_seconds: number,
  progress: Progress | null,
): Promise<HeartbeatRow | null> {
  const { rows } = await db.query<HeartbeatRow>(
    `WITH seen AS (
       UPDATE worker SET last_seen_at = now() WHERE id = $2 RETURNING drain_requested_at
     )
     UPDATE stage SET lease_expires_at = now() + make_interval(secs => $4),
       progress = CASE WHEN $5::int IS NULL THEN progress ELSE jsonb_build_object('step', $5::int, 'total', $6::int,
         'images_per_second', $7::float8, 'loss', $8::float8,
         'at', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) END,
       progress_at = CASE WHEN $5::int > coalesce((progress->>'step')::int, -1) THEN now() ELSE progress_at END
     WHERE id = $1 AND epoch = $3 AND lease_worker = $2 AND ${stateIs(isLeased)}
     RETURNING cancel_requested_at IS NOT NULL AS cancel,
       coalesce((SELECT drain_requested_at IS NOT NULL FROM seen), false) AS drain`,
    [
      fence.stage,
      fence.worker,
      fence.epoch,
      lease_seconds,
      progress?.step ?? null,
      progress?.total ?? null,
      finite(progress?.images_per_second),
      finite(progress?.loss),
    ],
  )
  return rows[0] ?? null
}

/** JSON has no NaN; the series keep it, the progress line shows none. */
const finite = (value: number | null | undefined): number | null =>
  value != null && Number.isFinite(value) ? value : null

/** What a renewal would say, without renewing. Index: primary keys. */
export async function selectHeartbeat(
  db: Queryable,
  fence: { worker: string; stage: string; epoch: number },
): Promise<HeartbeatRow | null> {
  const { rows } = await db.query<HeartbeatRow>(
    `SELECT stage.cancel_requested_at IS NOT NULL AS cancel, worker.drain_requested_at IS NOT NULL AS drain
     FROM stage JOIN worker ON worker.id = stage.lease_worker
     WHERE stage.id = $1 AND stage.lease_worker = $2 AND stage.epoch = $3 AND ${stateIs(isLeased, 'stage.state')}`,
    [fence.stage, fence.worker, fence.epoch],
  )
  return rows[0] ?? null
}
