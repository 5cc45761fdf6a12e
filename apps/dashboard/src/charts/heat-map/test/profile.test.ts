import { describe, expect, it } from 'vitest'
import { toGrid } from '../grid.ts'
import { profileAt, rowCurve, unshown } from '../profile.ts'

const two = toGrid([
  { step: 0, values: [1, 2] },
  { step: 100, values: ['NaN', null] },
])
const one = toGrid([{ step: 90, values: [-5] }])
const statistics = [
  { key: 'a', label: 'A', grid: two },
  { key: 'b', label: 'B', grid: one },
]

describe('profileAt', () => {
  it('takes the nearest row, with the middle of each bin as t', () => {
    const { x, lines, steps } = profileAt(statistics.slice(0, 1), 40)
    expect(x).toEqual([0.25, 0.75])
    expect(lines[0]?.values).toEqual([1, 2])
    expect(steps).toEqual([0])
  })

  it('joins bins of other widths without breaking either line', () => {
    const { x, lines, steps } = profileAt(statistics, 90)
    expect(x).toEqual([0.25, 0.5, 0.75])
    expect(lines.map(({ values }) => values)).toEqual([
      ['NaN', undefined, null],
      [undefined, -5, undefined],
    ])
    expect(steps).toEqual([100, 90])
  })

  it('extrapolates nothing', () => {
    const { x, lines, steps } = profileAt(statistics, 20)
    expect(steps).toEqual([0, null])
    expect(x).toEqual([0.25, 0.75])
    expect(lines[1]?.values).toEqual([undefined, undefined])
    expect(profileAt(statistics, 5000)).toMatchObject({ x: [], steps: [null, null] })
  })
})

it('reads one bin over the steps', () => {
  expect(rowCurve(statistics[0]!, 0)).toEqual({
    x: [0, 100],
    lines: [{ key: 'a', label: 'A', values: [1, 'NaN'] }],
  })
})

it('counts what a line cannot show', () => {
  const line = { key: 'a', label: 'A', values: [1, 0, -1, 'NaN', 'Infinity', null, undefined] }
  expect(unshown(line, false)).toEqual({ missing: 1, nonFinite: 2, nonPositive: 0 })
  expect(unshown(line, true)).toEqual({ missing: 1, nonFinite: 2, nonPositive: 2 })
})
