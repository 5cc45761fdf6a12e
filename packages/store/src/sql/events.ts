import type { RunId, StageId } from '@limbeck/contracts'
import type { Queryable } from '../transaction.ts'

export interface EventRow {
  id: string
  xid: string
  project: string
  run_id: RunId | null
  stage_id: StageId | null
  type: string
  payload: Record<string, unknown>
  created_at: Date
}

/** For what is no transition of a stage or run; those write theirs in their own statement. */
export async function insertEvent(
  tx: Queryable,
  event: {
    project: string
    run: string | null
    stage: string | null
    type: string
    payload: Record<string, unknown>
  },
): Promise<void> {
  await tx.query('INSERT INTO event (project, run_id, stage_id, type, payload) VALUES ($1, $2, $3, $4, $5)', [
    event.project,
    event.run,
    event.stage,
    event.type,
    JSON.stringify(event.payload),
  ])
}

/**
 * Ids of a sequence commit out of order, so a reader that passed 7 would never see a late 6. All transactions below the
 * snapshot's xmin have ended: nothing new can appear there. Indexes: event (xid, id) and (run_id, xid, id).
 */
export async function selectEvents(
  db: Queryable,
  filter: { project: string | null; run: string | null; xid: string; id: string; limit: number },
): Promise<EventRow[]> {
  const { rows } = await db.query<EventRow>(
    `SELECT id, xid::text, project, run_id, stage_id, type, payload, created_at FROM event
     WHERE (xid, id) > ($1::xid8, $2::bigint) AND xid < pg_snapshot_xmin(pg_current_snapshot())
       AND ($3::text IS NULL OR project = $3) AND ($4::text IS NULL OR run_id = $4)
     ORDER BY event.xid, id LIMIT $5`,
    [filter.xid, filter.id, filter.project, filter.run, filter.limit],
  )
  return rows
}

/** The newest position a reader may have. Index: event (xid, id). */
export async function selectLatestEvent(db: Queryable): Promise<{ xid: string; id: string } | null> {
  const { rows } = await db.query<{ xid: string; id: string }>(
    `SELECT xid::text, id FROM event WHERE xid < pg_snapshot_xmin(pg_current_snapshot())
     ORDER BY event.xid DESC, id DESC LIMIT 1`,
  )
  return rows[0] ?? null
}

/** Index: event_undelivered_partial. */
export async function selectUndelivered(db: Queryable, limit: number): Promise<EventRow[]> {
  const { rows } = await db.query<EventRow>(
    `SELECT id, xid::text, project, run_id, stage_id, type, payload, created_at FROM event
     WHERE delivered_at IS NULL ORDER BY id LIMIT $1`,
    [limit],
  )
  return rows
}

/** Index: primary key. */
export async function markDelivered(db: Queryable, ids: readonly string[]): Promise<void> {
  await db.query(
    'UPDATE event SET delivered_at = now() WHERE id = ANY($1::bigint[]) AND delivered_at IS NULL',
    [ids],
  )
}
