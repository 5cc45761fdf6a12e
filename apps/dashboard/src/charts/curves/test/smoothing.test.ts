import { describe, expect, it } from 'vitest'
import { smooth, smoothingLabel } from '../smoothing.ts'

const once = (values: readonly unknown[]) => values.map(() => 1)

describe('smooth', () => {
  it('gives the first value back: the start is not pulled to zero', () => {
    expect(smooth([10], [4], [1], 100)).toEqual([4])
    expect(smooth([0, 1, 2], [3, 3, 3], [1, 1, 1], 5)).toEqual([3, 3, 3])
  })

  it('halves the weight of a value in one half-life', () => {
    // Weights at the third: 1/4, 1/2, 1.
    const [, second, third] = smooth([0, 10, 20], [7, 0, 0], [1, 1, 1], 10)
    expect(second).toBeCloseTo((7 * 0.5) / 1.5, 12)
    expect(third).toBeCloseTo((7 * 0.25) / 1.75, 12)
  })

  it('equals the debiased average of Adam where steps are even', () => {
    const values = [5, 1, 4, 2, 8, 3]
    const halfLife = 3
    const beta = 2 ** (-1 / halfLife)
    let moment = 0
    const expected = values.map((value, index) => {
      moment = beta * moment + (1 - beta) * value
      return moment / (1 - beta ** (index + 1))
    })
    const found = smooth([0, 1, 2, 3, 4, 5], values, once(values), halfLife)
    for (const [index, value] of expected.entries()) expect(found[index]).toBeCloseTo(value, 12)
  })

  it('forgets by steps, not by points', () => {
    const near = smooth([0, 1], [1, 0], [1, 1], 10)[1] ?? 0
    const far = smooth([0, 30], [1, 0], [1, 1], 10)[1] ?? 0
    expect(near).toBeCloseTo(2 ** -0.1 / (1 + 2 ** -0.1), 12)
    expect(far).toBeCloseTo(0.125 / 1.125, 12)
  })

  it('keeps a gap a gap, and is not poisoned by it', () => {
    const found = smooth([0, 10, 20], [8, Number.NaN, 0], [1, 1, 1], 10)
    expect(found[1]).toBeNull()
    expect(found[2]).toBeCloseTo((8 * 0.25) / 1.25, 12)
    expect(smooth([0, 1], [null, 2], [1, 1], 10)).toEqual([null, 2])
    expect(smooth([0, 1], [Number.POSITIVE_INFINITY, 2], [1, 1], 10)).toEqual([null, 2])
  })

  it('starts anew with another attempt', () => {
    const found = smooth([0, 1, 2, 3], [9, 9, 1, 1], [1, 1, 2, 2], 1000)
    for (const [index, value] of [9, 9, 1, 1].entries()) expect(found[index]).toBeCloseTo(value, 12)
    // Also behind a gap: the first value of the new attempt may not be its first bucket.
    expect(smooth([0, 1, 2], [9, null, 1], [1, 2, 2], 1000)).toEqual([9, null, 1])
  })

  it('smooths nothing without a half-life, and takes nothing', () => {
    expect(smooth([0, 1], [1, 5], [1, 1], 0)).toEqual([1, 5])
    expect(smooth([], [], [], 10)).toEqual([])
    expect(smooth([0, 1], [null, null], [1, 1], 10)).toEqual([null, null])
  })

  it('says that it comes after bucketing', () => {
    expect(smoothingLabel(200)).toBe('half-life 200 steps, after bucketing')
    expect(smoothingLabel(1)).toBe('half-life 1 step, after bucketing')
    expect(smoothingLabel(0)).toBe('not smoothed')
  })
})
