import type { ResourceClass, StageId } from '@limbeck/contracts'
import { isBlocked, isLeased, isQueued, isTerminal, isVerifying } from '@limbeck/core'
import type { Queryable } from '../transaction.ts'
import { stateIs } from './states.ts'

const ids = (rows: readonly { id: StageId }[]): StageId[] => rows.map((row) => row.id)

/** Stages a sweep takes at a time; the next one, seconds later, takes more. */
const BATCH = 500

/**
 * Leases are judged only while some replica of the API has been up for a whole lease: after an outage every worker
 * gets that long to renew, so an outage of the control plane costs nobody an attempt.
 */
export async function mayJudgeLeases(
  db: Queryable,
  lease_seconds: number,
  liveness_seconds: number,
): Promise<boolean> {
  const { rows } = await db.query(
    `SELECT 1 FROM api_liveness
     WHERE up_since <= now() - make_interval(secs => $1) AND seen_at > now() - make_interval(secs => $2) LIMIT 1`,
    [lease_seconds, liveness_seconds],
  )
  return rows.length > 0
}

/** A gap in the stamps starts the time anew: during it no worker could renew here. */
export async function stampLiveness(db: Queryable, replica: string, liveness_seconds: number): Promise<void> {
  await db.query(
    `INSERT INTO api_liveness (replica) VALUES ($1)
     ON CONFLICT (replica) DO UPDATE SET seen_at = now(), up_since = CASE
       WHEN api_liveness.seen_at > now() - make_interval(secs => $2) THEN api_liveness.up_since ELSE now() END`,
    [replica, liveness_seconds],
  )
}

export async function deleteLiveness(db: Queryable, replica: string): Promise<void> {
  await db.query('DELETE FROM api_liveness WHERE replica = $1', [replica])
}

/** The condition a sweep checks again under the lock. */
export type RunningCondition = keyof typeof RUNNING_CONDITIONS
const RUNNING_CONDITIONS = {
  lease_expired: 'lease_expires_at < now()',
  cancel_overdue: 'cancel_deadline < now()',
  too_long: 'attempt_started_at + make_interval(secs => max_seconds) < now()',
  stalled: 'progress_at + make_interval(secs => stall_seconds) < now()',
} as const

/** Index: stage_running_partial. */
export async function selectRunning(db: Queryable, condition: RunningCondition): Promise<StageId[]> {
  const { rows } = await db.query<{ id: StageId }>(
    `SELECT id FROM stage WHERE ${stateIs(isLeased)} AND ${RUNNING_CONDITIONS[condition]} ORDER BY id LIMIT ${BATCH}`,
  )
  return ids(rows)
}

/** Whether it still holds now that the row is locked. Index: primary key. */
export async function stillHolds(
  tx: Queryable,
  stage: string,
  condition: RunningCondition,
): Promise<boolean> {
  const { rows } = await tx.query(
    `SELECT 1 FROM stage WHERE id = $1 AND ${stateIs(isLeased)} AND ${RUNNING_CONDITIONS[condition]}`,
    [stage],
  )
  return rows.length > 0
}

export interface VerifyingRow {
  id: StageId
  epoch: number
  /** verified: stored and hashed; pending: to be hashed; absent: neither, which it will not become any more. */
  output: 'verified' | 'pending' | 'absent'
}

/** Indexes: stage_verifying_partial, artifact's primary key, upload (sha256). */
export async function selectVerifying(db: Queryable): Promise<VerifyingRow[]> {
  const { rows } = await db.query<VerifyingRow>(
    `SELECT stage.id, stage.epoch, CASE
       WHEN EXISTS (SELECT FROM artifact WHERE digest = stage.output_digest AND kind = 'tree') THEN 'verified'
       WHEN EXISTS (SELECT FROM upload WHERE sha256 = stage.output_digest AND state = 'completed') THEN 'pending'
       ELSE 'absent' END AS output
     FROM stage WHERE ${stateIs(isVerifying)} ORDER BY id LIMIT ${BATCH}`,
  )
  return rows
}

/** Runs with a blocked stage whose needs have all ended: a propagation was lost. Index: stage_blocked_partial. */
export async function selectStuckRuns(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ run_id: string }>(
    `SELECT DISTINCT stage.run_id FROM stage WHERE ${stateIs(isBlocked)} AND NOT EXISTS (
       SELECT FROM stage AS need WHERE need.run_id = stage.run_id AND need.name = ANY(stage.needs)
         AND NOT ${stateIs(isTerminal, 'need.state')}) LIMIT ${BATCH}`,
  )
  return rows.map((row) => row.run_id)
}

/** Index: stage_queued_partial. */
export async function countDue(db: Queryable): Promise<{ resource_class: ResourceClass; count: number }[]> {
  const { rows } = await db.query<{ resource_class: ResourceClass; count: number }>(
    `SELECT resource_class, count(*)::int AS count FROM stage
     WHERE ${stateIs(isQueued)} AND next_attempt_at <= now() GROUP BY resource_class ORDER BY resource_class`,
  )
  return rows
}
