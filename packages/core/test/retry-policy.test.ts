import { EndReason } from '@limbeck/contracts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { backoffSeconds, classifyEnd, decideRetry, makeId, RETRY_BUDGETS } from '../src/index.ts'

const limits = { base_seconds: 2, cap_seconds: 300 }
const none = { user: 0, infrastructure: 0, stall: 0 }

/** Attempts until the stage fails, the first included; 100 where it never does. */
function attempts(reason: EndReason, progressed = false): number {
  let failures: { user: number; infrastructure: number; stall: number } = none
  for (let count = 1; count < 100; count++) {
    const decision = decideRetry({ reason, failures, progressed, jitter: 0.5, limits })
    if (!decision.retry) return count
    failures = { ...decision.failures }
  }
  return 100
}

describe('retry budgets', () => {
  it('never repeats what a replay would repeat', () => {
    for (const reason of [
      'out_of_memory',
      'non_finite',
      'bad_config',
      'bad_input',
      'teacher_gate',
      'discriminator_won',
      'corrupt_data',
    ] as const)
      expect(attempts(reason)).toBe(1)
  })

  it('gives user code 1, infrastructure 5, stalls 2', () => {
    expect(attempts('error')).toBe(2)
    expect(attempts('worker_lost')).toBe(6)
    expect(attempts('output_mismatch')).toBe(6)
    expect(attempts('stall')).toBe(3)
  })

  it('keeps the budgets apart', () => {
    const failures = { user: 0, infrastructure: RETRY_BUDGETS.infrastructure, stall: 0 }
    expect(decideRetry({ reason: 'error', failures, progressed: false, jitter: 0, limits }).retry).toBe(true)
    expect(decideRetry({ reason: 'worker_lost', failures, progressed: false, jitter: 0, limits }).retry).toBe(
      false,
    )
  })

  it('preempts for free while there is progress, and charges infrastructure where there is none', () => {
    expect(attempts('preempted', true)).toBe(100)
    expect(attempts('preempted', false)).toBe(6)
  })

  it('classifies every reason', () => {
    for (const reason of EndReason.options) expect(classifyEnd(reason)).toBeTypeOf('string')
  })
})

describe('back-off', () => {
  it('stays within its jitter and its cap', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (failures, jitter) => {
          const delay = backoffSeconds(failures, jitter, limits)
          expect(delay).toBeGreaterThanOrEqual(0)
          expect(delay).toBeLessThan(300)
          expect(delay).toBeLessThanOrEqual(jitter * 2 ** failures)
        },
      ),
    )
    expect(backoffSeconds(1, 0.5, limits)).toBe(1)
    expect(backoffSeconds(3, 0.5, limits)).toBe(4)
    expect(backoffSeconds(40, 0.5, limits)).toBe(150)
  })
})

describe('ids', () => {
  it('writes the ULID of the specification’s example time', () => {
    expect(makeId('run', 1469918176385, new Uint8Array(10))).toBe('run_01aryz6s410000000000000000')
    expect(makeId('stg', 2 ** 48 - 1, new Uint8Array(10).fill(255))).toBe('stg_7zzzzzzzzzzzzzzzzzzzzzzzzz')
  })

  it('sorts by time', () => {
    const bytes = fc.uint8Array({ minLength: 10, maxLength: 10 })
    const time = fc.integer({ min: 0, max: 2 ** 48 - 1 })
    fc.assert(
      fc.property(time, time, bytes, bytes, (a, b, first, second) => {
        fc.pre(a < b)
        expect(makeId('run', a, first) < makeId('run', b, second)).toBe(true)
      }),
    )
  })

  it('names a wrong argument', () => {
    expect(() => makeId('run', -1, new Uint8Array(10))).toThrow('time_ms is -1')
    expect(() => makeId('run', 0, new Uint8Array(9))).toThrow('9 bytes')
  })
})
