import { deriveRunState, endedWithoutSuccess, isBlocked, isFinal, isRunEnded } from '@limbeck/core'
import type { RunRow } from './rows.ts'
import { type StageStateRow, selectStageStates, updateRunState } from './sql/runs.ts'
import { SKIP, UNBLOCK } from './sql/stage-transitions.ts'
import type { Queryable } from './transaction.ts'
import { applyTransition } from './transition.ts'

/**
 * What follows in the run from a changed stage: what it was waiting for starts or is skipped, and the run's state.
 * Last step of every transaction that changes a stage; the caller holds the run's lock, so successors start once.
 */
export async function propagate(
  tx: Queryable,
  run: Pick<RunRow, 'id'>,
  cancelRequested: boolean,
): Promise<void> {
  const stages = new Map((await selectStageStates(tx, run.id)).map((stage) => [stage.name, stage]))
  // Skipping goes down the graph a level at a time.
  while ((await settleBlocked(tx, stages)) > 0);
  const state = deriveRunState([...stages.values()], cancelRequested)
  await updateRunState(tx, run.id, state, isRunEnded(state))
}

async function settleBlocked(tx: Queryable, stages: Map<string, StageStateRow>): Promise<number> {
  let changed = 0
  for (const stage of stages.values()) {
    if (!isBlocked(stage.state)) continue
    const needs = stage.needs.map((name) => stages.get(name)).filter((need) => need !== undefined)
    const broken = needs.find((need) => endedWithoutSuccess(need.state))
    const next = broken
      ? await applyTransition(tx, stage, 'skip', 'needs_failed', SKIP, [
          `${broken.name}, which it needs, is ${broken.state}`,
        ])
      : needs.every((need) => isFinal(need.state))
        ? await applyTransition(tx, stage, 'unblock', 'needs_succeeded', UNBLOCK, [])
        : null
    if (next === null) continue
    stages.set(stage.name, next)
    changed++
  }
  return changed
}
