import type { PreferenceNext, VoteCreate } from '@limbeck/contracts'
import type { z } from 'zod'
import { ApiError } from '../api.ts'
import { nextState, START, type Voting, type VotingEvent } from './voting.ts'

export interface VoterRequests {
  next: () => Promise<z.infer<typeof PreferenceNext>>
  vote: (vote: z.input<typeof VoteCreate>) => Promise<unknown>
}

export interface Voter {
  send: (event: VotingEvent) => void
  stop: () => void
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/**
 * Asks and votes as the states demand: entering `asking` asks, entering `saving` votes, once each. The state changes
 * in the very call of `send`, so that the second of two presses within a frame meets `saving` and is lost.
 */
export function createVoter({ next, vote }: VoterRequests, onState: (state: Voting) => void): Voter {
  let state = START
  let stopped = false

  function send(event: VotingEvent): void {
    const following = nextState(state, event)
    if (stopped || following === state) return
    state = following
    onState(state)
    if (state.kind === 'asking') void ask()
    if (state.kind === 'saving') void save(state)
  }

  async function ask(): Promise<void> {
    try {
      send({ kind: 'answered', answer: await next() })
    } catch (error) {
      send({ kind: 'unanswered', message: messageOf(error) })
    }
  }

  async function save({ pair, choice }: Extract<Voting, { kind: 'saving' }>): Promise<void> {
    try {
      await vote({ evaluations: pair.evaluations, place: pair.place, choice })
      send({ kind: 'saved', earlier: false })
    } catch (error) {
      // An earlier try whose answer was lost, or another window: the pair has this voter's vote.
      if (error instanceof ApiError && error.code === 'conflict') send({ kind: 'saved', earlier: true })
      else send({ kind: 'refused', message: messageOf(error) })
    }
  }

  onState(state)
  void ask()
  return {
    send,
    stop: () => {
      stopped = true
    },
  }
}
