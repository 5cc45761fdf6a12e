import type { RunState } from '@limbeck/contracts'
import type { RunRow, StageRow } from '../rows.ts'
import type { Queryable } from '../transaction.ts'

/**
 * Every transaction that changes a stage locks its run first, and touches one run only: transitions of a run
 * happen one after the other, and no two can wait for each other in a circle. Index: primary key.
 */
export async function lockRun(tx: Queryable, run: string): Promise<RunRow | null> {
  const { rows } = await tx.query<RunRow>('SELECT * FROM run WHERE id = $1 FOR UPDATE', [run])
  return rows[0] ?? null
}

/** Under the run's lock. A heartbeat does not take that one, hence FOR UPDATE. Index: primary key. */
export async function lockStage(tx: Queryable, stage: string): Promise<StageRow | null> {
  const { rows } = await tx.query<StageRow>('SELECT * FROM stage WHERE id = $1 FOR UPDATE', [stage])
  return rows[0] ?? null
}

export async function selectStage(db: Queryable, stage: string): Promise<StageRow | null> {
  const { rows } = await db.query<StageRow>('SELECT * FROM stage WHERE id = $1', [stage])
  return rows[0] ?? null
}

/** In recipe order. Index: unique (run_id, name). */
export async function selectStagesOfRun(db: Queryable, run: string): Promise<StageRow[]> {
  const { rows } = await db.query<StageRow>('SELECT * FROM stage WHERE run_id = $1 ORDER BY position', [run])
  return rows
}

export type StageStateRow = Pick<StageRow, 'id' | 'name' | 'state' | 'epoch' | 'needs'>

/** What propagation looks at; specs and results may be large. Index: unique (run_id, name). */
export async function selectStageStates(tx: Queryable, run: string): Promise<StageStateRow[]> {
  const { rows } = await tx.query<StageStateRow>(
    'SELECT id, name, state, epoch, needs FROM stage WHERE run_id = $1 ORDER BY position',
    [run],
  )
  return rows
}

/** Stores the derived state with its event, where it differs. `ended`: no stage can change by itself any more. */
export async function updateRunState(
  tx: Queryable,
  run: string,
  state: RunState,
  ended: boolean,
): Promise<void> {
  await tx.query(
    `WITH changed AS (
       UPDATE run SET state = $2,
         started_at = coalesce(started_at, CASE WHEN $2 <> 'queued' THEN now() END),
         ended_at = CASE WHEN $3::boolean THEN now() END
       WHERE id = $1 AND state <> $2
       RETURNING id, project, state
     )
     INSERT INTO event (project, run_id, type, payload)
     SELECT project, id, 'run.changed', jsonb_build_object('state', state) FROM changed`,
    [run, state, ended],
  )
}

/** $2 the moment or null: a user's retry takes the intent back. */
export async function setRunCancel(tx: Queryable, run: string, requested: boolean): Promise<void> {
  await tx.query(
    `UPDATE run SET cancel_requested_at = CASE WHEN $2 THEN coalesce(cancel_requested_at, now()) END WHERE id = $1`,
    [run, requested],
  )
}
