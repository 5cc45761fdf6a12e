import type { PreferenceNext, PreferencePair } from '@limbeck/contracts'
import type { z } from 'zod'

export type Pair = z.infer<typeof PreferencePair>
export type Choice = 'left' | 'right' | 'tie'

/** How far the voter is; `pairs` counts all. */
export interface Progress {
  voted: number
  pairs: number
}

/**
 * `asking`: for the next pair. `showing`: the pair is there; votes count once both pictures were seen. `saving`: a vote
 * is on its way. `unsaved`: it may not have arrived. `broken`: no pair could be had. `done`: no pair is left.
 * `earlier`: the pair before had a vote already, which stands in place of the last press.
 */
export type Voting =
  | { kind: 'asking'; progress: Progress | null; earlier: boolean }
  | { kind: 'showing'; progress: Progress; pair: Pair; seenAt: number | null; earlier: boolean }
  | { kind: 'saving'; progress: Progress; pair: Pair; choice: Choice }
  | { kind: 'unsaved'; progress: Progress; pair: Pair; choice: Choice; message: string }
  | { kind: 'broken'; progress: Progress | null; message: string }
  | { kind: 'done'; progress: Progress }

export type VotingEvent =
  | { kind: 'answered'; answer: z.infer<typeof PreferenceNext> }
  | { kind: 'unanswered'; message: string }
  /** Both pictures are on the screen; `at` in milliseconds. */
  | { kind: 'seen'; pair: Pair; at: number }
  | { kind: 'pressed'; choice: Choice; at: number }
  /** Stored now, or `earlier`: by a try whose answer was lost, or in another window. */
  | { kind: 'saved'; earlier: boolean }
  | { kind: 'refused'; message: string }
  | { kind: 'retried' }

export const START: Voting = { kind: 'asking', progress: null, earlier: false }

/**
 * Milliseconds that a pair is on the screen before a vote counts. The next pair can come within a frame or two: without
 * this the second press of a double press would vote on pictures that nobody saw.
 */
export const LEAST_VIEW_MS = 400

/** The state behind an event; the same object where the event means nothing there. */
export function nextState(state: Voting, event: VotingEvent): Voting {
  switch (event.kind) {
    case 'answered': {
      if (state.kind !== 'asking') return state
      const { pair, voted, pairs } = event.answer
      const progress = { voted, pairs }
      return pair === null
        ? { kind: 'done', progress }
        : { kind: 'showing', progress, pair, seenAt: null, earlier: state.earlier }
    }
    case 'unanswered':
      return state.kind === 'asking'
        ? { kind: 'broken', progress: state.progress, message: event.message }
        : state
    case 'seen':
      return state.kind === 'showing' && state.pair === event.pair && state.seenAt === null
        ? { ...state, seenAt: event.at }
        : state
    case 'pressed':
      return state.kind === 'showing' && state.seenAt !== null && event.at - state.seenAt >= LEAST_VIEW_MS
        ? { kind: 'saving', progress: state.progress, pair: state.pair, choice: event.choice }
        : state
    case 'saved':
      return state.kind === 'saving'
        ? {
            kind: 'asking',
            progress: { ...state.progress, voted: state.progress.voted + 1 },
            earlier: event.earlier,
          }
        : state
    case 'refused':
      return state.kind === 'saving' ? { ...state, kind: 'unsaved', message: event.message } : state
    case 'retried':
      if (state.kind === 'broken') return { kind: 'asking', progress: state.progress, earlier: false }
      if (state.kind === 'unsaved') {
        const { progress, pair, choice } = state
        return { kind: 'saving', progress, pair, choice }
      }
      return state
  }
}

/** Which choice a key stands for. */
export const CHOICE_KEYS: Readonly<Record<string, Choice>> = {
  ArrowLeft: 'left',
  ArrowRight: 'right',
  ArrowDown: 'tie',
}

export const progressText = ({ voted, pairs }: Progress): string => `${voted} of ${pairs} pairs`

/** Ids of the address: two to ten different ones, or why not. */
export function evaluationIds(text: string | undefined): { ids: string[]; problem: string | null } {
  const ids = (text ?? '').split(',').filter((id) => id !== '')
  const problem =
    new Set(ids).size !== ids.length
      ? 'An evaluation is named twice.'
      : ids.length < 2
        ? 'A pair needs at least two evaluations.'
        : ids.length > 10
          ? `At most ten evaluations are compared at once; ${ids.length} are named.`
          : null
  return { ids, problem }
}
