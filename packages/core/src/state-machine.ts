import type { StageState } from '@limbeck/contracts'

/**
 * Everything that may happen to a stage.
 *
 * unblock: all it needs has succeeded. claim: a worker took the lease. cache_hit: the output was there already.
 * judge: the control plane itself did it (gates). complete: the worker handed over an output.
 * verify_ok, verify_mismatch: the stored output was hashed again. fail: the worker reported a failure, or it ran too long
 * or stalled. lose_lease: the worker fell silent. release_preempted: the worker gave it back with a checkpoint.
 * request_cancel: a user asked. acknowledge_cancel: the worker stopped as asked. force_cancel: it did not in time.
 * skip: something it needs ended without success. reopen: a user retries.
 */
export type StageCommand =
  | 'unblock'
  | 'claim'
  | 'cache_hit'
  | 'judge'
  | 'complete'
  | 'verify_ok'
  | 'verify_mismatch'
  | 'fail'
  | 'lose_lease'
  | 'release_preempted'
  | 'request_cancel'
  | 'acknowledge_cancel'
  | 'force_cancel'
  | 'skip'
  | 'reopen'

/** What must hold beside the state. The caller knows the facts; the table says what follows from them. */
export type StageGuard =
  | 'always'
  | 'needs_succeeded'
  | 'due'
  | 'cancel_requested'
  | 'retry_left'
  | 'retry_spent'
  | 'deadline_passed'
  | 'needs_failed'
  | 'control_class'

export interface Transition {
  readonly from: StageState
  readonly command: StageCommand
  readonly guard: StageGuard
  readonly to: StageState
}

const row = (
  from: StageState,
  command: StageCommand,
  guard: StageGuard,
  to: StageState,
): Readonly<Transition> => ({
  from,
  command,
  guard,
  to,
})

/** An attempt that ended without success: a cancel that was asked for wins over a retry. */
const ended = (from: StageState, command: StageCommand): Transition[] => [
  row(from, command, 'cancel_requested', 'cancelled'),
  row(from, command, 'retry_left', 'queued'),
  row(from, command, 'retry_spent', 'failed'),
]

export const TRANSITIONS: readonly Transition[] = [
  row('blocked', 'unblock', 'needs_succeeded', 'queued'),
  row('queued', 'claim', 'due', 'running'),
  row('queued', 'cache_hit', 'due', 'succeeded'),
  row('queued', 'judge', 'control_class', 'succeeded'),
  row('running', 'complete', 'always', 'verifying'),
  row('verifying', 'verify_ok', 'always', 'succeeded'),
  ...ended('verifying', 'verify_mismatch'),
  ...ended('running', 'fail'),
  ...ended('running', 'lose_lease'),
  ...ended('running', 'release_preempted'),
  row('blocked', 'request_cancel', 'always', 'cancelled'),
  row('queued', 'request_cancel', 'always', 'cancelled'),
  // The intent is stored and the worker told; work that is already handed over is not thrown away.
  row('running', 'request_cancel', 'always', 'running'),
  row('verifying', 'request_cancel', 'always', 'verifying'),
  row('running', 'acknowledge_cancel', 'cancel_requested', 'cancelled'),
  row('running', 'force_cancel', 'deadline_passed', 'cancelled'),
  row('blocked', 'skip', 'needs_failed', 'skipped'),
  row('failed', 'reopen', 'always', 'blocked'),
  row('cancelled', 'reopen', 'always', 'blocked'),
  row('skipped', 'reopen', 'always', 'blocked'),
]

/** Where a command leads, or null where the table has no such row: then the command does not apply. */
export function nextState(from: StageState, command: StageCommand, guard: StageGuard): StageState | null {
  return (
    TRANSITIONS.find((entry) => entry.from === from && entry.command === command && entry.guard === guard)
      ?.to ?? null
  )
}

/** The states a command may leave under a guard towards `to`: the `state = ANY(...)` of its statement. */
export function sourceStates(command: StageCommand, guard: StageGuard, to: StageState): StageState[] {
  return TRANSITIONS.filter(
    (entry) => entry.command === command && entry.guard === guard && entry.to === to,
  ).map((entry) => entry.from)
}

/** States in which an attempt may still change the stage: its outcome is open and nobody else may start. */
export const LIVE_STATES = ['running', 'verifying'] as const satisfies StageState[]
export const TERMINAL_STATES = ['succeeded', 'failed', 'cancelled', 'skipped'] as const satisfies StageState[]

const among = (states: readonly StageState[], state: StageState): boolean => states.includes(state)

export const isTerminal = (state: StageState): boolean => among(TERMINAL_STATES, state)
/** Only success stays for ever: the other terminal states may be reopened. */
export const isFinal = (state: StageState): boolean => state === 'succeeded'
export const isLive = (state: StageState): boolean => among(LIVE_STATES, state)
/** A worker holds it and must renew. */
export const isLeased = (state: StageState): boolean => state === 'running'
export const isQueued = (state: StageState): boolean => state === 'queued'
export const isBlocked = (state: StageState): boolean => state === 'blocked'
export const isFailed = (state: StageState): boolean => state === 'failed'
export const isCancelled = (state: StageState): boolean => state === 'cancelled'
export const isVerifying = (state: StageState): boolean => state === 'verifying'
export const mayCancel = (state: StageState): boolean => !isTerminal(state)
export const mayReopen = (state: StageState): boolean => isTerminal(state) && !isFinal(state)
/** What needs it can never start, unless a user retries. */
export const endedWithoutSuccess = (state: StageState): boolean => mayReopen(state)
