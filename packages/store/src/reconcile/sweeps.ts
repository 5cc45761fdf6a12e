import type { EndReason, StageId } from '@limbeck/contracts'
import { cancelAttempt, finishAttempt } from '../leases/end-attempt.ts'
import { withLockedStage } from '../locked-stage.ts'
import { propagate } from '../propagate.ts'
import type { RunRow, StageRow } from '../rows.ts'
import { lockRun } from '../sql/runs.ts'
import {
  countDue,
  deleteLiveness,
  mayJudgeLeases,
  type RunningCondition,
  selectRunning,
  selectStuckRuns,
  stampLiveness,
  stillHolds,
} from '../sql/sweeps.ts'
import type { Store } from '../store.ts'
import { type Queryable, transaction } from '../transaction.ts'

/** Each replica of the API, every two seconds while it serves. */
export const stampApiLiveness = (store: Store, replica: string): Promise<void> =>
  stampLiveness(store.pool, replica, store.timing.liveness_seconds)

/** On an orderly end, so that the remaining replicas alone are counted. */
export const removeApiLiveness = (store: Store, replica: string): Promise<void> =>
  deleteLiveness(store.pool, replica)

/**
 * Ends running stages for which `condition` holds, one transaction each, checked again under the lock. Nothing is
 * judged while no worker could have spoken: a worker cannot renew, progress or stop at an API that is away.
 * @returns the stages that changed
 */
async function sweep(
  store: Store,
  condition: RunningCondition,
  end: (tx: Queryable, stage: StageRow, run: RunRow) => Promise<StageRow | null>,
): Promise<StageId[]> {
  const { lease_seconds, liveness_seconds } = store.timing
  const found = await selectRunning(store.pool, condition)
  if (found.length === 0) return []
  if (!(await mayJudgeLeases(store.pool, lease_seconds, liveness_seconds))) return []
  const changed: StageId[] = []
  for (const id of found) {
    const next = await withLockedStage<StageRow | null>(store, id, null, async (tx, stage, run) =>
      (await stillHolds(tx, id, condition)) ? end(tx, stage, run) : null,
    )
    if (next !== null) changed.push(id)
  }
  return changed
}

/** Workers that fell silent: their stages are queued again, or end. */
export const expireLeases = (store: Store): Promise<StageId[]> =>
  sweep(store, 'lease_expired', (tx, stage, run) =>
    finishAttempt(tx, store, stage, run, {
      command: 'lose_lease',
      reason: 'worker_lost',
      message: `worker ${stage.lease_worker} fell silent and its lease ended`,
      last_log_lines: [],
    }),
  )

/** Cancels that the worker did not acknowledge in time: the lease is revoked. */
export const forceCancels = (store: Store): Promise<StageId[]> =>
  sweep(store, 'cancel_overdue', (tx, stage, run) =>
    cancelAttempt(tx, stage, run, {
      command: 'force_cancel',
      guard: 'deadline_passed',
      reason: 'cancel_deadline',
      message: `cancelled; worker ${stage.lease_worker} did not stop in time and its lease was revoked`,
    }),
  )

/** Attempts that last longer than they may, or have not progressed for too long. */
export async function enforceTimeouts(store: Store): Promise<StageId[]> {
  const endAs = (reason: EndReason, message: (stage: StageRow) => string) => {
    return (tx: Queryable, stage: StageRow, run: RunRow) =>
      finishAttempt(tx, store, stage, run, {
        command: 'fail',
        reason,
        message: message(stage),
        last_log_lines: [],
      })
  }
  const late = await sweep(
    store,
    'too_long',
    endAs('timeout', (stage) => `the attempt lasted longer than its ${stage.max_seconds} s`),
  )
  const stalled = await sweep(
    store,
    'stalled',
    endAs('stall', (stage) => `no progress for ${stage.stall_seconds} s`),
  )
  return [...late, ...stalled]
}

/** Repairs runs whose successors were not started or skipped. Transitions do it themselves; this bears a bug in them. */
export async function unblockStages(store: Store): Promise<string[]> {
  const runs = await selectStuckRuns(store.pool)
  for (const id of runs)
    await transaction(store, async (tx) => {
      const run = await lockRun(tx, id)
      if (run !== null) await propagate(tx, run, run.cancel_requested_at !== null)
    })
  return runs
}

/** Queued and due, by class: for doorbells that were lost. */
export const countDueStages = (store: Store) => countDue(store.pool)
