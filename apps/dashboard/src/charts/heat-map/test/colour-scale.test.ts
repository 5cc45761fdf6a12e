import { describe, expect, it } from 'vitest'
import { COLOUR_SCALES, colourScale, gridScale } from '../colour-scale.ts'
import { toGrid } from '../grid.ts'
import { sampleValues, valueRange } from '../range.ts'

const row = (...values: (number | string | null)[]) => toGrid([{ step: 0, values }])
const plain = { centred: false, robust: false }

describe('valueRange', () => {
  it('spans the finite values', () => {
    expect(valueRange(row(3, 'NaN', -2, null, 'Infinity', 7))).toEqual({ low: -2, high: 7 })
    expect(valueRange(row(3, 'NaN', -2, 0, 7), { positiveOnly: true })).toEqual({ low: 3, high: 7 })
  })

  it('is null without a value that has a place', () => {
    expect(valueRange(row('NaN', null))).toBeNull()
    expect(valueRange(row('NaN', null), { robust: true })).toBeNull()
    expect(valueRange(row(-1, 0), { positiveOnly: true })).toBeNull()
    expect(valueRange(toGrid([]))).toBeNull()
  })

  it('leaves out a hundredth at each end when robust', () => {
    const values = Array.from({ length: 101 }, (_, index) => index)
    values[100] = 1e9
    expect(valueRange(row(...values), { robust: true })).toEqual({ low: 1, high: 99 })
    expect(valueRange(row(...values))).toEqual({ low: 0, high: 1e9 })
  })

  it('samples a large grid evenly over its bins', () => {
    const rows = Array.from({ length: 4000 }, (_, step) => ({
      step,
      values: Array.from({ length: 50 }, (_, bin) => bin),
    }))
    const sample = sampleValues(toGrid(rows), false)
    expect(sample.length).toBeLessThanOrEqual(50_000)
    const counts = new Array<number>(50).fill(0)
    for (const bin of sample) counts[bin]!++
    expect(Math.min(...counts) / Math.max(...counts)).toBeGreaterThan(0.95)
  })
})

describe('colourScale', () => {
  it('places values by their logarithm', () => {
    const scale = colourScale('logarithmic', { low: 0.01, high: 100 })
    expect(scale.place(0.01)).toBe(0)
    expect(scale.place(1)).toBeCloseTo(0.5)
    expect(scale.place(100)).toBe(1)
    expect(scale.ticks(6).map(({ text }) => text)).toContain('1')
  })

  it('keeps what lies beyond the range at its ends', () => {
    for (const kind of COLOUR_SCALES) {
      const scale = colourScale(kind, { low: 1, high: 10 }, [1, 10])
      expect(scale.place(0.001), kind).toBe(0)
      expect(scale.place(1e9), kind).toBe(1)
    }
    expect(colourScale('logarithmic', { low: 1, high: 10 }).place(-5)).toBe(0)
  })

  it('is monotone, with ticks where their values stand', () => {
    for (const kind of COLOUR_SCALES) {
      const scale = gridScale(row(0.001, 0.02, 0.5, 3, 40), kind, plain)
      const places = [0.001, 0.002, 0.02, 0.4, 3, 40].map(scale.place)
      expect(
        [...places].sort((a, b) => a - b),
        kind,
      ).toEqual(places)
      const ticks = scale.ticks(6)
      expect(ticks.length, kind).toBeGreaterThan(1)
      expect(ticks.length, kind).toBeLessThan(13)
      for (const [index, { place }] of ticks.entries()) {
        expect(place, kind).toBeGreaterThanOrEqual(0)
        expect(place, kind).toBeLessThanOrEqual(1)
        if (index > 0) expect(place, kind).toBeGreaterThan(ticks[index - 1]!.place)
      }
      expect(new Set(ticks.map(({ text }) => text)).size, kind).toBe(ticks.length)
    }
  })
})

describe.each(COLOUR_SCALES)('a grid on a %s scale', (kind) => {
  it('has one tick in the middle where all values are equal', () => {
    const scale = gridScale(row(0.25, 0.25, 0.25), kind, plain)
    expect(scale.place(0.25)).toBe(0.5)
    expect(scale.ticks(6)).toEqual([{ place: 0.5, text: '0.25' }])
  })

  it('has no range and no tick where nothing is finite, and without a row', () => {
    for (const grid of [row('NaN', 'Infinity', null), toGrid([])]) {
      const scale = gridScale(grid, kind, plain)
      expect(scale.range).toBeNull()
      expect(scale.ticks(6)).toEqual([])
    }
  })

  it('takes one row of one value', () => {
    const scale = gridScale(row(1e-7), kind, plain)
    expect(scale.place(1e-7)).toBe(0.5)
    expect(scale.ticks(6)).toHaveLength(1)
  })
})

describe('negative values', () => {
  it('have no part in a logarithmic range', () => {
    expect(gridScale(row(-5, 0, 1, 10), 'logarithmic', plain).range).toEqual({ low: 1, high: 10 })
    expect(gridScale(row(-5, 0), 'logarithmic', plain).range).toBeNull()
  })

  it('stand below the middle of a centred scale as far as positive ones above', () => {
    for (const kind of COLOUR_SCALES) {
      const scale = gridScale(row(-1, -0.1, 0, 0.1, 4), kind, { centred: true, robust: false })
      expect(scale.kind, kind).toBe(kind === 'logarithmic' ? 'symlog' : kind)
      expect(scale.range, kind).toEqual({ low: -4, high: 4 })
      expect(scale.place(0), kind).toBeCloseTo(0.5)
      expect(scale.place(-1) + scale.place(1), kind).toBeCloseTo(1)
      expect(scale.place(4), kind).toBe(1)
      const mostlyBelow = gridScale(row(-4, 0.1), kind, { centred: true, robust: false })
      expect(mostlyBelow.range, kind).toEqual({ low: -4, high: 4 })
    }
  })

  it('leave a difference without one in the middle', () => {
    expect(gridScale(row(0, 0), 'linear', { centred: true, robust: false }).place(0)).toBe(0.5)
  })
})
