import type { RunState } from '@limbeck/contracts'
import { isLeased } from '@limbeck/core'
import type { AttemptRow, RunRow, StageRow } from '../rows.ts'
import type { Queryable } from '../transaction.ts'
import { stateIs } from './states.ts'

export type RunSummaryRow = Omit<RunRow, 'recipe_body' | 'assets'> & {
  stages_by_state: Record<string, number>
  step: number | null
  total: number | null
  task_loss: number | null
  overall: number | null
}

const SUMMARY = `run.id, run.project, run.recipe, run.recipe_version, run.recipe_digest, run.overrides, run.label,
  run.priority, run.cache, run.cache_salt, run.state, run.submitted_by, run.created_at, run.started_at, run.ended_at,
  run.cancel_requested_at,
  (SELECT coalesce(jsonb_object_agg(by_state.state, by_state.count), '{}') FROM (
     SELECT state, count(*)::int AS count FROM stage WHERE run_id = run.id GROUP BY state) AS by_state
  ) AS stages_by_state, busy.step, busy.total, loss.task_loss, score.overall`

/** One row a run: indexes stage (run_id, name), series (stage_id, kind, name), evaluation (run_id). */
const FIGURES = `
  LEFT JOIN LATERAL (
    SELECT (progress->>'step')::int AS step, (progress->>'total')::int AS total FROM stage
    WHERE run_id = run.id AND ${stateIs(isLeased)} AND progress IS NOT NULL ORDER BY position DESC LIMIT 1
  ) AS busy ON true
  LEFT JOIN LATERAL (
    SELECT series.last_value AS task_loss FROM stage JOIN series ON series.stage_id = stage.id
    WHERE stage.run_id = run.id AND series.kind = 'scalar' AND series.name = 'loss/task'
    ORDER BY stage.position DESC LIMIT 1
  ) AS loss ON true
  LEFT JOIN LATERAL (
    SELECT (body->>'overall')::float8 AS overall FROM evaluation WHERE run_id = run.id ORDER BY id DESC LIMIT 1
  ) AS score ON true`

/** Newest first, below the id of `before`. Indexes: run (project, id), run (project, state, id), stage (run_id, name). */
export async function selectRuns(
  db: Queryable,
  project: string,
  filter: {
    state: RunState | null
    recipe: string | null
    label: string | null
    text: string | null
    before: string | null
    limit: number
  },
): Promise<RunSummaryRow[]> {
  const { rows } = await db.query<RunSummaryRow>(
    `SELECT ${SUMMARY} FROM (
       SELECT * FROM run
       WHERE project = $1 AND ($2::text IS NULL OR state = $2) AND ($3::text IS NULL OR recipe = $3)
         AND ($4::text IS NULL OR label = $4) AND ($5::text IS NULL OR id < $5)
         AND ($7::text IS NULL OR starts_with(id, $7)
           OR strpos(lower(recipe || chr(10) || label || chr(10) || submitted_by), lower($7)) > 0)
       ORDER BY id DESC LIMIT $6
     ) AS run ${FIGURES}
     ORDER BY run.id DESC`,
    [project, filter.state, filter.recipe, filter.label, filter.before, filter.limit, filter.text],
  )
  return rows
}

/** Index: primary key. */
export async function selectRunSummary(
  db: Queryable,
  project: string,
  run: string,
): Promise<RunSummaryRow | null> {
  const { rows } = await db.query<RunSummaryRow>(
    `SELECT ${SUMMARY} FROM run ${FIGURES} WHERE run.id = $1 AND run.project = $2`,
    [run, project],
  )
  return rows[0] ?? null
}

export type NamedAttemptRow = AttemptRow & { worker_name: string | null }

/** Index: attempt's primary key. */
export async function selectAttempts(db: Queryable, stages: readonly string[]): Promise<NamedAttemptRow[]> {
  const { rows } = await db.query<NamedAttemptRow>(
    `SELECT attempt.*, worker.name AS worker_name FROM attempt LEFT JOIN worker ON worker.id = attempt.worker_id
     WHERE stage_id = ANY($1::text[]) ORDER BY stage_id, epoch`,
    [stages],
  )
  return rows
}

export interface WaitingRow {
  id: string
  /** Seconds until the next attempt; below 0 when it is due. */
  due_in: number
  /** Live workers of the class, and those of them that fit its pins, and those free among these. */
  workers: number
  fitting: number
  free: number
}

/** Why queued stages wait. Indexes: worker (project, last_seen_at), stage_running_partial. */
export async function selectWaiting(
  db: Queryable,
  stages: readonly Pick<StageRow, 'id'>[],
  live_seconds: number,
): Promise<WaitingRow[]> {
  if (stages.length === 0) return []
  const { rows } = await db.query<WaitingRow>(
    `WITH live AS (
       SELECT worker.*, NOT EXISTS (SELECT FROM stage WHERE lease_worker = worker.id AND ${stateIs(isLeased)}) AS idle
       FROM worker WHERE last_seen_at > now() - make_interval(secs => $2) AND drain_requested_at IS NULL
     )
     SELECT stage.id, extract(epoch FROM stage.next_attempt_at - now())::float8 AS due_in,
       count(live.id)::int AS workers,
       count(live.id) FILTER (WHERE fits)::int AS fitting,
       count(live.id) FILTER (WHERE fits AND live.idle)::int AS free
     FROM stage
     LEFT JOIN live ON live.project = stage.project AND stage.resource_class = ANY(live.resource_classes)
     LEFT JOIN LATERAL (SELECT stage.code_digest IS NULL OR (stage.code_digest = live.code_digest
       AND stage.environment_digest = live.environment_digest) AS fits) AS fit ON true
     WHERE stage.id = ANY($1::text[])
     GROUP BY stage.id`,
    [stages.map((stage) => stage.id), live_seconds],
  )
  return rows
}
