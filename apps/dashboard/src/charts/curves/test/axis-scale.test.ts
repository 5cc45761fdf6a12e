import { describe, expect, it } from 'vitest'
import { axisScale, linearThreshold, padded, SCALE_KINDS } from '../axis-scale.ts'

const sample = [-3e5, -2, -1e-4, 1e-7, 0.3, 1, 65_536, 2 ** 24]

describe.each(SCALE_KINDS)('%s', (kind) => {
  const scale = axisScale(kind, sample)

  it('comes back from each place', () => {
    for (const value of sample) {
      const position = scale.forward(value)
      if (position === null) continue
      expect(Math.abs(scale.inverse(position) - value)).toBeLessThanOrEqual(Math.abs(value) * 1e-9)
    }
  })

  it('keeps the order', () => {
    const positions = sample.map(scale.forward).filter((position) => position !== null)
    expect(positions).toEqual([...positions].sort((a, b) => a - b))
    expect(new Set(positions).size).toBe(positions.length)
  })

  it('has no place for what is not finite', () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      expect(scale.forward(value)).toBeNull()
    }
  })

  it.each([
    [1, 2 ** 24],
    [0.001, 0.9],
    [0.5, 0.6],
    [1000, 1000.5],
    [1e-12, 1e9],
  ])('has a handful of ticks in view, ascending and told apart: %d to %d', (low, high) => {
    for (const most of [3, 6]) {
      const ticks = scale.ticks(low, high, most)
      expect(ticks.length).toBeGreaterThanOrEqual(2)
      expect(ticks.length).toBeLessThanOrEqual(most * 2)
      for (const [index, tick] of ticks.entries()) {
        expect(tick).toBeGreaterThanOrEqual(low - (high - low) * 1e-9)
        expect(tick).toBeLessThanOrEqual(high + (high - low) * 1e-9)
        expect(tick).toBeGreaterThan(ticks[index - 1] ?? Number.NEGATIVE_INFINITY)
      }
      const texts = ticks.map((tick, index) =>
        scale.format(tick, Math.abs((ticks[index + 1] ?? ticks[index - 1] ?? 0) - tick)),
      )
      expect(new Set(texts).size).toBe(texts.length)
    }
  })
})

describe.each(SCALE_KINDS)('%s ticks', (kind) => {
  it.each([
    [5, 5],
    [1e20, 1e20 + 16_384],
    [1, Number.POSITIVE_INFINITY],
  ])('end, and stay few, for a range that cannot be divided: %d to %d', (low, high) => {
    expect(axisScale(kind).ticks(low, high, 6).length).toBeLessThan(400)
  })
})

describe('log scales', () => {
  it.each(['log2', 'log10'] as const)('%s has no place at or below zero', (kind) => {
    expect(axisScale(kind).forward(0)).toBeNull()
    expect(axisScale(kind).forward(-1)).toBeNull()
  })

  it('log2 ticks are powers of two over the range of loss scales, written as such', () => {
    const scale = axisScale('log2')
    const ticks = scale.ticks(1, 2 ** 24, 8)
    expect(ticks).toEqual([0, 4, 8, 12, 16, 20, 24].map((exponent) => 2 ** exponent))
    expect(ticks.map((tick) => scale.format(tick, tick))).toEqual([
      '2⁰',
      '2⁴',
      '2⁸',
      '2¹²',
      '2¹⁶',
      '2²⁰',
      '2²⁴',
    ])
    expect(scale.format(0.5, 1)).toBe('2⁻¹')
  })

  it('log10 fills few decades with 2 and 5', () => {
    expect(axisScale('log10').ticks(0.09, 2.1, 8)).toEqual([0.1, 0.2, 0.5, 1, 2])
    expect(axisScale('log10').ticks(1e-8, 1, 4)).toEqual([1e-6, 1e-3, 1])
  })
})

describe('symlog', () => {
  it('takes its linear threshold from the data, as a power of ten', () => {
    expect(linearThreshold([0.03, 5, -0.2, 0, null])).toBe(0.01)
    expect(linearThreshold([1000, 2000])).toBe(1000)
    expect(linearThreshold([])).toBe(1)
    expect(linearThreshold([0, Number.NaN])).toBe(1)
  })

  it('does not let one tiny value take the axis', () => {
    expect(linearThreshold([1e-30, 1, 100])).toBe(1e-4)
  })

  it('shows zero and both signs', () => {
    const scale = axisScale('symlog', [-100, 0.1, 1, 100])
    expect(scale.forward(0)).toBe(0)
    expect(scale.forward(-5)).toBe(-(scale.forward(5) ?? 0))
    expect(scale.ticks(-100, 100, 9)).toEqual([-100, -10, -1, 0, 1, 10, 100])
  })

  it('leaves ticks room: none is closer to another than a share of the axis', () => {
    const scale = axisScale('symlog', [0.1, 1e4])
    const places = scale.ticks(-1e4, 1e4, 5).map((tick) => scale.forward(tick) ?? 0)
    const width = (scale.forward(1e4) ?? 0) * 2
    for (const [index, place] of places.slice(1).entries()) {
      expect(place - (places[index] ?? 0)).toBeGreaterThan(width / 7)
    }
  })
})

describe('padded', () => {
  it('is never an empty range', () => {
    for (const kind of SCALE_KINDS) {
      const [low, high] = padded(axisScale(kind), 3, 3)
      expect(low).toBeLessThan(3)
      expect(high).toBeGreaterThan(3)
      expect(padded(axisScale(kind), null, null)).toEqual([0, 1])
    }
    expect(padded(axisScale('linear'), 0, 0)).toEqual([0, 1])
  })

  it('does not go below zero where no value does', () => {
    expect(padded(axisScale('linear'), 0.01, 10)[0]).toBe(0)
    expect(padded(axisScale('linear'), -0.01, 10)[0]).toBeLessThan(-0.01)
  })
})
