import type { RunView } from '@limbeck/contracts'
import { isLive, isRunEnded, mayCancel } from '@limbeck/core'
import { failure, notFound, type StoreFailure, type StoreResult } from '../failure.ts'
import { propagate } from '../propagate.ts'
import { requestLiveCancels } from '../sql/cancel.ts'
import { lockRun, selectStagesOfRun, setRunCancel } from '../sql/runs.ts'
import { CANCEL_WAITING } from '../sql/stage-transitions.ts'
import type { Store } from '../store.ts'
import { transaction } from '../transaction.ts'
import { applyTransition } from '../transition.ts'
import { getRun } from './view.ts'

/**
 * A cancel is an intent that is stored: what waits ends at once, what runs is told with its next heartbeat and revoked
 * after a deadline. The run is `cancelled` only then. Asked twice, it is one. Failures: not_found, conflict.
 */
export async function cancelRun(
  store: Store,
  project: string,
  runId: string,
  actor: string,
): StoreResult<RunView> {
  const refused = await transaction<{ ok: false; error: StoreFailure } | null>(store, async (tx) => {
    const run = await lockRun(tx, runId)
    if (run === null || run.project !== project) return notFound('run', runId)
    if (run.state === 'cancelled') return null
    if (isRunEnded(run.state))
      return failure('conflict', `run ${runId} has ${run.state} already; only an open run can be cancelled`)
    await setRunCancel(tx, runId, true)
    for (const stage of await selectStagesOfRun(tx, runId))
      if (mayCancel(stage.state) && !isLive(stage.state))
        await applyTransition(tx, stage, 'request_cancel', 'always', CANCEL_WAITING, [
          `cancelled by ${actor} before it started`,
        ])
    await requestLiveCancels(tx, runId, store.timing.cancel_seconds)
    await propagate(tx, run, true)
    return null
  })
  return refused ?? getRun(store, project, runId)
}
