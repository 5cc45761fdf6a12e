import type { EndReason, StageState } from '@limbeck/contracts'
import { ok } from '@limbeck/core'
import type { StoreResult } from '../failure.ts'
import { withLockedStage } from '../locked-stage.ts'
import type { AttemptOutcome, RunRow, StageRow } from '../rows.ts'
import { selectAttempt } from '../sql/attempts.ts'
import type { Store } from '../store.ts'
import type { Queryable } from '../transaction.ts'
import { cancelAttempt, finishAttempt } from './end-attempt.ts'
import { type Fence, holdsLease, leaseLost } from './fence.ts'

type Ended = { state: StageState }

/** The worker reports a failure. Idempotent: the same attempt's end again is answered with the state. Failure: lease_lost. */
export const failStage = (
  store: Store,
  fence: Fence,
  failure: { reason: EndReason; message: string; last_log_lines: string[] },
): StoreResult<Ended> =>
  endByWorker(store, fence, ['failed', 'cancelled'], (tx, stage, run) =>
    finishAttempt(tx, store, stage, run, { command: 'fail', ...failure }),
  )

/** The worker gives its right back: stopped with a checkpoint, or stopped because of a cancel. Failure: lease_lost. */
export const releaseStage = (
  store: Store,
  fence: Fence,
  { reason, step }: { reason: 'preempted' | 'cancelled'; step: number | null },
): StoreResult<Ended> =>
  endByWorker(store, fence, ['released', 'cancelled'], (tx, stage, run) =>
    reason === 'cancelled' && stage.cancel_requested_at !== null
      ? cancelAttempt(tx, stage, run, {
          command: 'acknowledge_cancel',
          guard: 'cancel_requested',
          reason: 'cancelled',
          message: 'cancelled; the worker has stopped',
        })
      : finishAttempt(tx, store, stage, run, {
          command: 'release_preempted',
          reason: 'preempted',
          message: step === null ? 'the worker gave it back' : `the worker gave it back at step ${step}`,
          last_log_lines: [],
        }),
  )

function endByWorker(
  store: Store,
  fence: Fence,
  repeats: readonly AttemptOutcome[],
  end: (tx: Queryable, stage: StageRow, run: RunRow) => Promise<StageRow | null>,
): StoreResult<Ended> {
  return withLockedStage<Awaited<StoreResult<Ended>>>(
    store,
    fence.stage,
    leaseLost(fence, null),
    async (tx, stage, run) => {
      if (holdsLease(stage, fence)) {
        const next = await end(tx, stage, run)
        return next === null ? leaseLost(fence, stage) : ok({ state: next.state })
      }
      const attempt = await selectAttempt(tx, fence.stage, fence.epoch)
      const repeated =
        attempt?.worker_id === fence.worker && attempt.outcome !== null && repeats.includes(attempt.outcome)
      // Only while nobody else has the stage: afterwards the worker must hear that it is not its any more.
      return repeated && stage.epoch === fence.epoch ? ok({ state: stage.state }) : leaseLost(fence, stage)
    },
  )
}
