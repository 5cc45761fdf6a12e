import type { EndReason } from '@limbeck/contracts'
import { classifyEnd, decideRetry, type StageCommand } from '@limbeck/core'
import { propagate } from '../propagate.ts'
import type { AttemptOutcome, RunRow, StageRow } from '../rows.ts'
import { endAttempt, selectAttempt } from '../sql/attempts.ts'
import { END_ATTEMPT } from '../sql/stage-transitions.ts'
import type { Store } from '../store.ts'
import type { Queryable } from '../transaction.ts'
import { applyTransition } from '../transition.ts'

export interface AttemptEnd {
  command: Extract<StageCommand, 'fail' | 'lose_lease' | 'release_preempted' | 'verify_mismatch'>
  reason: EndReason
  message: string
  last_log_lines: string[]
}

/** How the attempt's own row says it, where no cancel was asked for. */
const OUTCOMES: Record<AttemptEnd['command'], AttemptOutcome> = {
  fail: 'failed',
  lose_lease: 'lost',
  release_preempted: 'released',
  verify_mismatch: 'failed',
}

/**
 * Ends the newest attempt without success: the stage is queued again, fails, or, where a cancel was asked for, is
 * cancelled. The caller holds the locks and has checked the fence. @returns null on a conflict
 */
export async function finishAttempt(
  tx: Queryable,
  store: Store,
  stage: StageRow,
  run: RunRow,
  end: AttemptEnd,
): Promise<StageRow | null> {
  const cancelled = stage.cancel_requested_at !== null
  const attempt = await selectAttempt(tx, stage.id, stage.epoch)
  const failures = {
    user: stage.failures_user,
    infrastructure: stage.failures_infrastructure,
    stall: stage.failures_stall,
  }
  const decision = cancelled
    ? { retry: false, delay_seconds: 0, failures }
    : decideRetry({
        reason: end.reason,
        failures,
        progressed: (attempt?.last_checkpoint_step ?? -1) > (attempt?.resumed_from_step ?? 0),
        jitter: store.random(),
        limits: {
          base_seconds: store.timing.backoff_base_seconds,
          cap_seconds: store.timing.backoff_cap_seconds,
        },
      })
  const reason = cancelled ? 'cancelled' : end.reason
  const message = cancelled
    ? `cancelled; its attempt ended: ${end.message}`
    : decision.retry
      ? end.message
      : withBudget(end)
  const next = await applyTransition(
    tx,
    stage,
    end.command,
    cancelled ? 'cancel_requested' : decision.retry ? 'retry_left' : 'retry_spent',
    END_ATTEMPT,
    [
      reason,
      message,
      end.last_log_lines,
      decision.failures.user,
      decision.failures.infrastructure,
      decision.failures.stall,
      decision.retry ? decision.delay_seconds : null,
    ],
  )
  if (next === null) return null
  await endAttempt(tx, stage.id, stage.epoch, {
    outcome: cancelled ? 'cancelled' : OUTCOMES[end.command],
    reason,
    message: end.message,
  })
  await propagate(tx, run, run.cancel_requested_at !== null)
  return next
}

const withBudget = ({ reason, message }: AttemptEnd): string => {
  const failureClass = classifyEnd(reason)
  return failureClass === 'never'
    ? `${message} (${reason}: not retried)`
    : `${message} (${reason}: its retries are spent)`
}

/** running -> cancelled, because the worker stopped or because it did not in time. @returns null on a conflict */
export async function cancelAttempt(
  tx: Queryable,
  stage: StageRow,
  run: RunRow,
  how:
    | { command: 'acknowledge_cancel'; guard: 'cancel_requested'; reason: 'cancelled'; message: string }
    | { command: 'force_cancel'; guard: 'deadline_passed'; reason: 'cancel_deadline'; message: string },
): Promise<StageRow | null> {
  const next = await applyTransition(tx, stage, how.command, how.guard, END_ATTEMPT, [
    how.reason,
    how.message,
    stage.last_log_lines,
    stage.failures_user,
    stage.failures_infrastructure,
    stage.failures_stall,
    null,
  ])
  if (next === null) return null
  await endAttempt(tx, stage.id, stage.epoch, {
    outcome: 'cancelled',
    reason: how.reason,
    message: how.message,
  })
  await propagate(tx, run, run.cancel_requested_at !== null)
  return next
}
