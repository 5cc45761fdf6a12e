import { describe, expect, it } from 'vitest'
import { columnAt, columnText, histogramRows, overlap, pairRows, quantile } from '../histogram.ts'

const range = { low: -4, high: 4 }

describe('rows', () => {
  it('become shares of one', () => {
    expect(histogramRows({ rows: [{ step: 5, values: [1, 3, 0, null] }] })).toEqual([
      { step: 5, shares: [0.25, 0.75, 0, 0] },
    ])
  })

  it.each([[['NaN', 1]], [[0, 0]], [[-1, 2]], [[]]] as const)(
    'without a shape stay, marked: %j',
    (values) => {
      expect(histogramRows({ rows: [{ step: 5, values: [...values] }] })).toEqual([{ step: 5, shares: null }])
    },
  )
})

it('finds quantiles inside bins', () => {
  expect(quantile([0.5, 0.5], range, 0.5)).toBe(0)
  expect(quantile([0, 1, 0, 0], range, 0.5)).toBe(-1)
  expect(quantile([0, 0, 0, 1], range, 1)).toBe(4)
  expect(quantile([1, 0, 0, 0], range, 0)).toBe(-4)
})

it('measures the overlap', () => {
  expect(overlap([0.5, 0.5], [0.5, 0.5])).toBe(1)
  expect(overlap([1, 0], [0, 1])).toBe(0)
  expect(overlap([0.75, 0.25], [0.25, 0.75])).toBe(0.5)
})

describe('columns', () => {
  const columns = pairRows(
    [
      { step: 10, shares: [1, 0] },
      { step: 30, shares: [0, 1] },
    ],
    [
      { step: 20, shares: [1, 0] },
      { step: 10, shares: [0, 1] },
    ],
  )

  it('pair classes by step and keep what only one has', () => {
    expect(columns.map(({ step, real, fake }) => [step, real !== null, fake !== null])).toEqual([
      [10, true, true],
      [20, false, true],
      [30, true, false],
    ])
  })

  it('are read out', () => {
    expect(columnText(columns[0]!, range)).toBe('step 10: overlap 0, median real -2, fake 2')
    expect(columnText(columns[1]!, range)).toBe(
      'step 20: no overlap known, median real not finite or missing, fake -2',
    )
    expect(columnAt(columns, 24)?.step).toBe(20)
    expect(columnAt([], 24)).toBeNull()
  })
})
