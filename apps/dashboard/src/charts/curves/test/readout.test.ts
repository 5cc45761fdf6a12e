import { describe, expect, it } from 'vitest'
import { applyKey, type KeyContext } from '../apply-key.ts'
import { formatValue } from '../axis-scale.ts'
import { formatNumber, formatTick } from '../format-number.ts'
import { chartKey } from '../keyboard.ts'
import { bucketAt, bucketText, figureLabel, markAt } from '../readout.ts'
import { sameSeries } from '../use-stable.ts'
import { bucket, points, series } from './points.ts'

describe('the bucket at a step', () => {
  const data = points([bucket(10, 1), bucket(20, 2), bucket(30, 3)])

  it('is the nearest, and none far beyond the ends', () => {
    expect([4, 12, 16, 25, 26, 38].map((step) => bucketAt(data, step)?.step)).toEqual([
      10, 10, 20, 20, 30, 30,
    ])
    expect(bucketAt(data, 41)).toBeNull()
    expect(bucketAt(data, 0)?.step).toBe(10)
  })

  it('of a single point is that point only', () => {
    expect(bucketAt(points([bucket(5, 1)]), 5)?.last).toBe(1)
    expect(bucketAt(points([bucket(5, 1)]), 6)).toBeNull()
    expect(bucketAt(points([]), 6)).toBeNull()
  })
})

it('reads a bucket out with its range and what is not finite', () => {
  expect(bucketText(bucket(1, 0.51313))).toBe('0.5131')
  expect(bucketText(bucket(1, 'NaN'))).toBe('NaN')
  expect(bucketText(bucket(1, 'NaN', { min: 0.5, max: 2, count: 70, non_finite: 3 }))).toBe(
    'NaN (0.5 to 2, 70 points, 3 not finite)',
  )
})

it('reads a loss scale out as a power of two, and an equal range once', () => {
  const scale = bucket(1, 65_536, { count: 70 })
  expect(bucketText(scale, (value) => formatValue('log2', value))).toBe('2¹⁶ (70 points)')
  expect(formatValue('log2', 3)).toBe('3')
  expect(formatValue('linear', 65_536)).toBe('65,540')
  expect(formatValue('log2', 'NaN')).toBe('NaN')
})

it('names a figure', () => {
  const one = series([bucket(1, 2, { count: 84_000 })])
  expect(figureLabel('Task loss', [one])).toBe('Task loss, 84,000 points, last 2')
  expect(figureLabel('Losses', [one, series([], { label: 'other' })])).toBe(
    'Losses, 84,000 points, loss/task last 2, other last –',
  )
})

it('finds the event of a bucket', () => {
  const marks = [
    { step: 12, label: 'skipped', kind: 'note' as const },
    { step: 30, label: 'rollback', kind: 'warning' as const },
  ]
  expect(markAt(marks, [10, 20, 30], 10)?.label).toBe('skipped')
  expect(markAt(marks, [10, 20, 30], 20)).toBeNull()
})

describe('numbers', () => {
  it('are short, and exact where ticks are close', () => {
    expect([0, 0.51313, 84_000, 1.5e-5, 1e9, -2e7, 1e-7].map((value) => formatNumber(value))).toEqual([
      '0',
      '0.5131',
      '84,000',
      '1.5×10⁻⁵',
      '10⁹',
      '-2×10⁷',
      '10⁻⁷',
    ])
    expect(['NaN', '-Infinity', null].map((value) => formatNumber(value))).toEqual(['NaN', '-Infinity', '–'])
    expect([1.00001, 1.00002].map((value) => formatTick(value, 1e-5))).toEqual(['1.00001', '1.00002'])
    expect(formatTick(5.6e-17, 0.1)).toBe('0')
  })
})

describe('keys', () => {
  const plain = { shiftKey: false, ctrlKey: false, altKey: false, metaKey: false }
  const context: KeyContext = {
    steps: [0, 10, 20, 30],
    cursor: 10,
    window: null,
    extent: { from: 0, to: 30 },
    nonFinite: [{ step: 20, kind: 'NaN', count: 1, of: 1 }],
  }
  const press = (key: string, more: Partial<KeyContext> = {}, held: Partial<typeof plain> = {}) => {
    const found = chartKey({ key, ...plain, ...held })
    return found && applyKey(found, { ...context, ...more })
  }

  it('move the cursor by buckets and stop at the ends', () => {
    expect(press('ArrowRight')).toEqual({ cursor: 20 })
    expect(press('ArrowLeft', { cursor: 0 })).toEqual({ cursor: 0 })
    expect(press('ArrowRight', {}, { shiftKey: true })).toEqual({ cursor: 30 })
    expect(press('ArrowRight', { cursor: null })).toEqual({ cursor: 30 })
    expect(press('Home')).toEqual({ cursor: 0 })
    expect(press('Escape')).toEqual({ cursor: null })
  })

  it('zoom, reset and jump', () => {
    expect(press('+', { cursor: 20 })).toEqual({ window: { from: 10, to: 25 } })
    expect(press('z')).toEqual({ window: null })
    expect(press('n')).toEqual({ cursor: 20, jumped: true })
    expect(press('N')).toEqual({})
  })

  it('leave other keys and the browser’s own alone', () => {
    expect(press('a')).toBeNull()
    expect(press('z', {}, { ctrlKey: true })).toBeNull()
  })

  it('do nothing without data', () => {
    expect(press('ArrowRight', { steps: [] })).toEqual({})
    expect(press('z', { steps: [] })).toEqual({ window: null })
  })
})

it('tells series apart by what they hold, not by their arrays', () => {
  const data = points([bucket(1, 1)])
  expect(sameSeries([series([], { points: data })], [series([], { points: data })])).toBe(true)
  expect(sameSeries([series([], { points: data })], [series([], { points: points([bucket(1, 1)]) })])).toBe(
    false,
  )
  expect(sameSeries([], [series([])])).toBe(false)
})
