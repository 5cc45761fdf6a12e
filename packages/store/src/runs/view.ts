import type {
  AttemptView,
  RunList,
  RunListQuery,
  RunSummary,
  RunView,
  StageDetail,
  StageView,
} from '@limbeck/contracts'
import { isQueued, ok } from '@limbeck/core'
import type { z } from 'zod'
import { failure, notFound, type StoreResult } from '../failure.ts'
import { iso, isoOrNull, type StageRow } from '../rows.ts'
import {
  type NamedAttemptRow,
  type RunSummaryRow,
  selectAttempts,
  selectRunSummary,
  selectRuns,
  selectWaiting,
  type WaitingRow,
} from '../sql/run-views.ts'
import { selectStage, selectStagesOfRun } from '../sql/runs.ts'
import type { Store } from '../store.ts'
import type { Queryable } from '../transaction.ts'
import { waitingMessage } from './waiting.ts'

const summaryOf = (row: RunSummaryRow): RunSummary => ({
  id: row.id,
  project: row.project,
  recipe: row.recipe,
  recipe_version: row.recipe_version,
  label: row.label,
  state: row.state,
  priority: row.priority,
  cache: row.cache,
  submitted_by: row.submitted_by,
  created_at: iso(row.created_at),
  started_at: isoOrNull(row.started_at),
  ended_at: isoOrNull(row.ended_at),
  stages_by_state: row.stages_by_state,
  figures: {
    step: row.step,
    total: row.total,
    // A loss that is no number is shown by its series, not in a list.
    task_loss: row.task_loss !== null && Number.isFinite(row.task_loss) ? row.task_loss : null,
    overall: row.overall,
  },
})

const attemptOf = (row: NamedAttemptRow): z.infer<typeof AttemptView> => ({
  epoch: row.epoch,
  worker: row.worker_id,
  worker_name: row.worker_name ?? row.worker_id,
  started_at: iso(row.started_at),
  ended_at: isoOrNull(row.ended_at),
  outcome: row.outcome,
  reason: row.reason,
  message: row.message,
  resumed_from_step: row.resumed_from_step,
  last_checkpoint_step: row.last_checkpoint_step,
})

const stageOf = (row: StageRow, attempts: NamedAttemptRow[], waiting: WaitingRow | undefined): StageView => ({
  id: row.id,
  run: row.run_id,
  name: row.name,
  kind: row.kind,
  state: row.state,
  epoch: row.epoch,
  cached: row.cached,
  resource_class: row.resource_class,
  needs: row.needs,
  reason: row.reason,
  message: waitingMessage(row, waiting) ?? row.message,
  last_log_lines: row.last_log_lines,
  cancel_requested_at: isoOrNull(row.cancel_requested_at),
  next_attempt_at: isoOrNull(row.next_attempt_at),
  created_at: iso(row.created_at),
  started_at: isoOrNull(row.started_at),
  ended_at: isoOrNull(row.ended_at),
  seconds:
    row.started_at === null || row.ended_at === null
      ? null
      : (row.ended_at.getTime() - row.started_at.getTime()) / 1000,
  progress: row.progress,
  output: row.output_digest,
  result: row.result,
  attempts: attempts.filter((attempt) => attempt.stage_id === row.id).map(attemptOf),
})

async function stageViews(db: Queryable, store: Store, rows: StageRow[]): Promise<StageView[]> {
  const attempts = await selectAttempts(
    db,
    rows.map((row) => row.id),
  )
  const waiting = await selectWaiting(
    db,
    rows.filter((row) => isQueued(row.state)),
    store.timing.lease_seconds,
  )
  return rows.map((row) =>
    stageOf(
      row,
      attempts,
      waiting.find(({ id }) => id === row.id),
    ),
  )
}

/** Failure: not_found. */
export async function getRun(store: Store, project: string, run: string): StoreResult<RunView> {
  const summary = await selectRunSummary(store.pool, project, run)
  if (summary === null) return notFound('run', run)
  const rows = await selectStagesOfRun(store.pool, run)
  return ok({
    ...summaryOf(summary),
    overrides: summary.overrides,
    stages: await stageViews(store.pool, store, rows),
  })
}

/** Failure: not_found. */
export async function getStage(
  store: Store,
  project: string,
  stage: string,
): StoreResult<z.infer<typeof StageDetail>> {
  const row = await selectStage(store.pool, stage)
  if (row === null || row.project !== project) return notFound('stage', stage)
  const [view] = await stageViews(store.pool, store, [row])
  return view === undefined ? notFound('stage', stage) : ok({ ...view, spec: row.spec, inputs: row.inputs })
}

const CURSOR = /^run_[0-9a-hjkmnp-tv-z]{26}$/

/** Newest first; the cursor is the last id of the page before. Failure: invalid_request. */
export async function listRuns(
  store: Store,
  project: string,
  query: z.infer<typeof RunListQuery>,
): StoreResult<z.infer<typeof RunList>> {
  if (query.cursor !== undefined && !CURSOR.test(query.cursor))
    return failure(
      'invalid_request',
      `cursor is ${JSON.stringify(query.cursor)}; allowed: the next_cursor of a page`,
    )
  const rows = await selectRuns(store.pool, project, {
    state: query.state ?? null,
    recipe: query.recipe ?? null,
    label: query.label ?? null,
    text: query.text ?? null,
    before: query.cursor ?? null,
    limit: query.limit + 1,
  })
  const page = rows.slice(0, query.limit)
  return ok({
    runs: page.map(summaryOf),
    next_cursor: rows.length > query.limit ? (page.at(-1)?.id ?? null) : null,
  })
}
