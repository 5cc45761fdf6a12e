import type { RunId, RunView } from '@limbeck/contracts'
import type { Store } from '../store.ts'
import { cancelRun } from './cancel.ts'

/** Each run by itself: one that has ended or is not there keeps no other from being cancelled. */
export async function cancelRuns(
  store: Store,
  project: string,
  runs: readonly RunId[],
  actor: string,
): Promise<{ cancelled: RunView[]; refused: { run: RunId; reason: string }[] }> {
  const cancelled: RunView[] = []
  const refused: { run: RunId; reason: string }[] = []
  for (const run of new Set(runs)) {
    const outcome = await cancelRun(store, project, run, actor)
    if (outcome.ok) cancelled.push(outcome.value)
    else refused.push({ run, reason: outcome.error.detail })
  }
  return { cancelled, refused }
}
