import { StageState } from '@limbeck/contracts'
import { describe, expect, it } from 'vitest'
import {
  deriveRunState,
  isFinal,
  isLive,
  isTerminal,
  mayCancel,
  mayReopen,
  nextState,
  sourceStates,
  TRANSITIONS,
} from '../src/index.ts'

describe('the table of transitions', () => {
  it('has one row for each state, command and guard', () => {
    const keys = TRANSITIONS.map(({ from, command, guard }) => `${from} ${command} ${guard}`)
    expect(new Set(keys).size).toBe(keys.length)
  })

  it('never leaves succeeded', () => {
    expect(TRANSITIONS.filter(({ from }) => isFinal(from))).toEqual([])
  })

  it('leaves the other terminal states by a user’s retry alone', () => {
    const commands = TRANSITIONS.filter(({ from }) => isTerminal(from)).map(({ command }) => command)
    expect(new Set(commands)).toEqual(new Set(['reopen']))
  })

  it('takes a cancel in every state that is not terminal', () => {
    for (const state of StageState.options)
      expect(TRANSITIONS.some(({ from, command }) => from === state && command === 'request_cancel')).toBe(
        mayCancel(state),
      )
  })

  it('reaches every state from blocked', () => {
    const reached = new Set<string>(['blocked'])
    for (let grown = true; grown; ) {
      grown = false
      for (const { from, to } of TRANSITIONS)
        if (reached.has(from) && !reached.has(to)) {
          reached.add(to)
          grown = true
        }
    }
    expect(reached).toEqual(new Set(StageState.options))
  })

  it('starts an attempt only from queued', () => {
    expect(TRANSITIONS.filter(({ to }) => to === 'running').map(({ from }) => from)).toEqual([
      'queued',
      'running',
    ])
    expect(sourceStates('claim', 'due', 'running')).toEqual(['queued'])
  })

  it('prefers a cancel to a retry', () => {
    expect(nextState('running', 'lose_lease', 'cancel_requested')).toBe('cancelled')
    expect(nextState('running', 'lose_lease', 'retry_left')).toBe('queued')
    expect(nextState('running', 'lose_lease', 'retry_spent')).toBe('failed')
    expect(nextState('succeeded', 'fail', 'retry_left')).toBeNull()
  })

  it('sorts the states into live, terminal and waiting', () => {
    expect(StageState.options.filter(isLive)).toEqual(['running', 'verifying'])
    expect(StageState.options.filter(mayReopen)).toEqual(['failed', 'cancelled', 'skipped'])
  })
})

describe('the state of a run', () => {
  const of = (states: StageState[], cancel = false) =>
    deriveRunState(
      states.map((state) => ({ state, epoch: 0 })),
      cancel,
    )
  it.each([
    [['queued', 'blocked'], false, 'queued'],
    [['running', 'blocked'], false, 'running'],
    [['verifying', 'cancelled'], true, 'cancelling'],
    [['succeeded', 'queued'], false, 'running'],
    [['succeeded', 'succeeded'], false, 'succeeded'],
    [['succeeded', 'failed', 'skipped'], false, 'failed'],
    [['failed', 'running'], false, 'running'],
    [['succeeded', 'cancelled'], true, 'cancelled'],
    [['failed', 'cancelled'], true, 'failed'],
  ] as const)('%j, cancel %s: %s', (states, cancel, expected) => {
    expect(of([...states], cancel)).toBe(expected)
  })

  it('is running while a stage waits for its second attempt', () => {
    expect(deriveRunState([{ state: 'queued', epoch: 1 }], false)).toBe('running')
  })
})
