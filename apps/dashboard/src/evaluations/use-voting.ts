import { useCallback, useEffect, useRef, useState } from 'react'
import { nextPair, sendVote } from './queries.ts'
import { createVoter, type Voter } from './voter.ts'
import { START, type Voting, type VotingEvent } from './voting.ts'

/** A voter over a set of evaluations ("evl_a,evl_b"); begins anew for another set. */
export function useVoting(evaluations: string): { state: Voting; send: (event: VotingEvent) => void } {
  const [state, setState] = useState<Voting>(START)
  const voter = useRef<Voter | null>(null)
  useEffect(() => {
    const own = createVoter({ next: () => nextPair(evaluations), vote: sendVote }, setState)
    voter.current = own
    return own.stop
  }, [evaluations])
  const send = useCallback((event: VotingEvent) => voter.current?.send(event), [])
  return { state, send }
}
