import type { EndReason } from '@limbeck/contracts'
import { assertNever } from './result.ts'

/** Whose fault a failure is. Each class has a budget of its own, so that a bad night of the cluster costs the user nothing. */
export type FailureClass = 'user' | 'infrastructure' | 'stall'

/** Attempts beyond the first that each class may cost. */
export const RETRY_BUDGETS: Readonly<Record<FailureClass, number>> = { user: 1, infrastructure: 5, stall: 2 }

/**
 * `never`: bit-exact replay would repeat it, or nobody wants it again. `preemption`: free while it makes
 * progress. A new reason without a branch does not compile.
 */
export function classifyEnd(reason: EndReason): FailureClass | 'never' | 'preemption' {
  switch (reason) {
    case 'bad_config':
    case 'bad_input':
    case 'corrupt_data':
    case 'non_finite':
    case 'out_of_memory':
    case 'teacher_gate':
    case 'discriminator_won':
    case 'cancelled':
    case 'cancel_deadline':
    case 'upstream_failed':
      return 'never'
    case 'error':
    // The next attempt starts from the last checkpoint, so it may well get through; once.
    case 'timeout':
      return 'user'
    case 'stall':
      return 'stall'
    // The next attempt may land on a worker with room.
    case 'disk_full':
    case 'worker_lost':
    case 'output_mismatch':
    // The scorer failed its self-test: a matter of the machine's environment, not of the model.
    case 'scorer_broken':
      return 'infrastructure'
    case 'preempted':
      return 'preemption'
    default:
      return assertNever(reason)
  }
}

export interface FailureCounts {
  readonly user: number
  readonly infrastructure: number
  readonly stall: number
}

export interface BackoffLimits {
  /** Ceiling of the first delay, seconds. */
  readonly base_seconds: number
  /** Ceiling of every delay, seconds. */
  readonly cap_seconds: number
}

/** Exponential with full jitter: uniform in [0, min(cap, base x 2^(failures - 1))), seconds. `jitter` in [0, 1). */
export function backoffSeconds(failures: number, jitter: number, limits: BackoffLimits): number {
  return jitter * Math.min(limits.cap_seconds, limits.base_seconds * 2 ** Math.max(0, failures - 1))
}

export interface RetryDecision {
  /** False: the stage fails. */
  readonly retry: boolean
  /** From now; 0 where nothing failed. */
  readonly delay_seconds: number
  /** Counts after this end. */
  readonly failures: FailureCounts
}

/**
 * What follows from an attempt's end.
 * @param progressed its newest checkpoint is beyond the step it started from: only then a preemption is free,
 *   otherwise a stage that never reaches a checkpoint would be preempted for ever
 */
export function decideRetry(end: {
  reason: EndReason
  failures: FailureCounts
  progressed: boolean
  jitter: number
  limits: BackoffLimits
}): RetryDecision {
  const found = classifyEnd(end.reason)
  if (found === 'never') return { retry: false, delay_seconds: 0, failures: end.failures }
  if (found === 'preemption' && end.progressed)
    return { retry: true, delay_seconds: 0, failures: end.failures }
  const charged: FailureClass = found === 'preemption' ? 'infrastructure' : found
  const failures = { ...end.failures, [charged]: end.failures[charged] + 1 }
  const retry = failures[charged] <= RETRY_BUDGETS[charged]
  return {
    retry,
    delay_seconds: retry ? backoffSeconds(failures[charged], end.jitter, end.limits) : 0,
    failures,
  }
}
