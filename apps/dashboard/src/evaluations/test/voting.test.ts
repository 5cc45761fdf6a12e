import { describe, expect, it } from 'vitest'
import { ApiError } from '../../api.ts'
import { createVoter } from '../voter.ts'
import {
  evaluationIds,
  LEAST_VIEW_MS,
  nextState,
  type Pair,
  progressText,
  START,
  type Voting,
  type VotingEvent,
} from '../voting.ts'

const pairAt = (place: number): Pair =>
  ({
    evaluations: ['evl_a', 'evl_b'],
    place,
    left: { artifact: 'a', path: 'steps-4/sheet.png', tile: place },
    right: { artifact: 'b', path: 'steps-28/sheet.png', tile: place },
  }) as unknown as Pair
const pair = pairAt(3)
const after = (...events: VotingEvent[]): Voting => events.reduce(nextState, START)
const shown: VotingEvent = { kind: 'answered', answer: { pair, voted: 12, pairs: 250 } }
const seen: VotingEvent = { kind: 'seen', pair, at: 1000 }
const press = (at: number, choice: 'left' | 'right' | 'tie' = 'left'): VotingEvent => ({
  kind: 'pressed',
  choice,
  at,
})

describe('nextState', () => {
  it('takes a vote once the pair was in view long enough', () => {
    expect(after(shown, seen, press(1000 + LEAST_VIEW_MS, 'tie'))).toEqual({
      kind: 'saving',
      progress: { voted: 12, pairs: 250 },
      pair,
      choice: 'tie',
    })
  })

  it('ignores presses before the pictures are there, and in the first moment', () => {
    expect(after(shown, press(9999)).kind).toBe('showing')
    expect(after(shown, seen, press(999 + LEAST_VIEW_MS)).kind).toBe('showing')
    expect(after(press(9999)).kind).toBe('asking')
  })

  it('ignores that another pair was seen', () => {
    expect(after(shown, { kind: 'seen', pair: pairAt(3), at: 0 }, press(9999)).kind).toBe('showing')
  })

  it('keeps the first of two presses', () => {
    const state = after(shown, seen, press(2000, 'left'), press(2001, 'right'))
    expect(state).toMatchObject({ kind: 'saving', choice: 'left' })
  })

  it('counts a stored vote and asks again', () => {
    expect(after(shown, seen, press(2000), { kind: 'saved', earlier: false })).toEqual({
      kind: 'asking',
      progress: { voted: 13, pairs: 250 },
      earlier: false,
    })
  })

  it('tells that an earlier vote stands, until the next vote', () => {
    const state = after(shown, seen, press(2000), { kind: 'saved', earlier: true }, shown)
    expect(state).toMatchObject({ kind: 'showing', earlier: true })
  })

  it('keeps the choice when it could not be sent, and sends the same again', () => {
    const refused = after(shown, seen, press(2000, 'right'), { kind: 'refused', message: 'no answer' })
    expect(refused).toMatchObject({ kind: 'unsaved', choice: 'right', message: 'no answer' })
    expect(nextState(refused, press(9999, 'left'))).toBe(refused)
    expect(nextState(refused, { kind: 'retried' })).toMatchObject({ kind: 'saving', choice: 'right' })
  })

  it('ends when no pair is left', () => {
    const state = after({ kind: 'answered', answer: { pair: null, voted: 250, pairs: 250 } })
    expect(state).toEqual({ kind: 'done', progress: { voted: 250, pairs: 250 } })
    expect(nextState(state, press(9999))).toBe(state)
  })

  it('can ask again where no pair could be had', () => {
    const state = after({ kind: 'unanswered', message: 'no answer' })
    expect(state).toMatchObject({ kind: 'broken', message: 'no answer' })
    expect(nextState(state, { kind: 'retried' }).kind).toBe('asking')
  })
})

describe('createVoter', () => {
  /** Requests that are answered when the test says so. */
  function stage(vote: () => Promise<unknown> = async () => ({})) {
    const sent: unknown[] = []
    let place = 0
    let state: Voting = START
    const voter = createVoter(
      {
        next: async () => ({ pair: pairAt(place), voted: place++, pairs: 5 }),
        vote: (body) => {
          sent.push(body)
          return vote()
        },
      },
      (next) => {
        state = next
      },
    )
    const look = async (at: number) => {
      await new Promise((done) => setTimeout(done))
      if (state.kind === 'showing') voter.send({ kind: 'seen', pair: state.pair, at })
      return state
    }
    return { voter, sent, look }
  }

  it('sends one vote for two presses in one frame, and none for the echo on the next pair', async () => {
    const { voter, sent, look } = stage()
    await look(0)
    voter.send(press(1000, 'left'))
    voter.send(press(1000, 'left'))
    expect(sent).toHaveLength(1)
    expect(await look(1010)).toMatchObject({ kind: 'showing', pair: { place: 1 } })
    voter.send(press(1015, 'left'))
    expect(sent).toEqual([{ evaluations: ['evl_a', 'evl_b'], place: 0, choice: 'left' }])
  })

  it('goes on where the pair has a vote already, and says so', async () => {
    const { voter, look } = stage(() => Promise.reject(new ApiError('conflict', 'has voted')))
    await look(0)
    voter.send(press(1000))
    expect(await look(1010)).toMatchObject({ kind: 'showing', pair: { place: 1 }, earlier: true })
  })

  it('does not go on where the vote may be lost', async () => {
    const { voter, sent, look } = stage(() => Promise.reject(new ApiError('unreachable', 'no answer')))
    await look(0)
    voter.send(press(1000))
    expect(await look(1010)).toMatchObject({ kind: 'unsaved', message: 'no answer' })
    voter.send({ kind: 'retried' })
    expect(sent).toHaveLength(2)
    expect(sent[1]).toEqual(sent[0])
  })

  it('is silent once stopped', async () => {
    const { voter, sent, look } = stage()
    await look(0)
    voter.stop()
    voter.send(press(1000))
    expect(sent).toEqual([])
  })
})

it('words the progress', () => {
  expect(progressText({ voted: 12, pairs: 250 })).toBe('12 of 250 pairs')
})

it('takes two to ten different evaluations', () => {
  const many = Array.from({ length: 11 }, (_, n) => `evl_${n}`)
  expect(evaluationIds('evl_a,evl_b')).toEqual({ ids: ['evl_a', 'evl_b'], problem: null })
  expect(evaluationIds(many.slice(1).join(',')).problem).toBeNull()
  expect(evaluationIds(undefined).problem).toMatch(/two/)
  expect(evaluationIds('evl_a').problem).toMatch(/two/)
  expect(evaluationIds('evl_a,evl_a').problem).toMatch(/twice/)
  expect(evaluationIds(many.join(',')).problem).toMatch(/ten/)
})
