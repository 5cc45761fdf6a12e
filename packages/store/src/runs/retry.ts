import type { RunView } from '@limbeck/contracts'
import { isLive, mayReopen } from '@limbeck/core'
import { failure, notFound, type StoreFailure, type StoreResult } from '../failure.ts'
import { propagate } from '../propagate.ts'
import type { StageRow } from '../rows.ts'
import { insertEvent } from '../sql/events.ts'
import { lockRun, selectStagesOfRun, setRunCancel } from '../sql/runs.ts'
import { REOPEN } from '../sql/stage-transitions.ts'
import type { Store } from '../store.ts'
import { transaction } from '../transaction.ts'
import { applyTransition } from '../transition.ts'
import { getRun } from './view.ts'

/**
 * Reopens stages that ended without success, with fresh budgets: all of them, or those named with what they need and what
 * needs them, without which they could not end well. What succeeded stays. Failures: not_found, invalid_request, conflict.
 */
export async function retryRun(
  store: Store,
  project: string,
  runId: string,
  names: readonly string[] | undefined,
  actor: string,
): StoreResult<RunView> {
  const refused = await transaction<{ ok: false; error: StoreFailure } | null>(store, async (tx) => {
    const run = await lockRun(tx, runId)
    if (run === null || run.project !== project) return notFound('run', runId)
    const stages = await selectStagesOfRun(tx, runId)
    const unknown = names?.find((name) => !stages.some((stage) => stage.name === name))
    if (unknown !== undefined)
      return failure(
        'invalid_request',
        `stages: the run has no stage ${JSON.stringify(unknown)}; it has ${stages.map((stage) => stage.name).join(', ')}`,
      )
    if (run.cancel_requested_at !== null && stages.some((stage) => isLive(stage.state)))
      return failure('conflict', `run ${runId} is being cancelled; retry it when its stages have stopped`)
    const reopened = withRelatives(stages, names).filter((stage) => mayReopen(stage.state))
    if (reopened.length === 0)
      return failure(
        'conflict',
        `run ${runId} is ${run.state}: no stage of it has failed, was cancelled or skipped`,
      )
    await setRunCancel(tx, runId, false)
    for (const stage of reopened) await applyTransition(tx, stage, 'reopen', 'always', REOPEN, [])
    await insertEvent(tx, {
      project,
      run: runId,
      stage: null,
      type: 'run.retried',
      payload: { by: actor, stages: reopened.map((stage) => stage.name) },
    })
    await propagate(tx, run, false)
    return null
  })
  return refused ?? getRun(store, project, runId)
}

/** The named stages, everything they need and everything that needs them; all where none is named. */
function withRelatives(stages: StageRow[], names: readonly string[] | undefined): StageRow[] {
  if (names === undefined) return stages
  const reach = (next: (stage: StageRow) => StageRow[]): Set<StageRow> => {
    const found = new Set(stages.filter((stage) => names.includes(stage.name)))
    for (const stage of found) for (const other of next(stage)) found.add(other)
    return found
  }
  const up = reach((stage) => stages.filter((other) => stage.needs.includes(other.name)))
  const down = reach((stage) => stages.filter((other) => other.needs.includes(stage.name)))
  return stages.filter((stage) => up.has(stage) || down.has(stage))
}
