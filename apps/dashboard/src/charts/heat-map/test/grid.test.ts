import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { binText, CELL, cellKind, cellValue, columnNear, countKinds, difference, toGrid } from '../grid.ts'

describe('toGrid', () => {
  it('sorts by step, keeps the last of two rows at one step, and fills short rows with missing', () => {
    const grid = toGrid([
      { step: 200, values: [5, 6] },
      { step: 100, values: [1, 2, 3] },
      { step: 200, values: [7] },
    ])
    expect(grid.steps).toEqual([100, 200])
    expect(grid.bins).toBe(3)
    expect([...grid.values]).toEqual([1, 2, 3, 7, Number.NaN, Number.NaN])
    expect(countKinds(grid, false)).toEqual([4, 2, 0, 0])
  })

  it('tells missing from each value that is not finite', () => {
    const grid = toGrid([{ step: 0, values: [null, 'NaN', 'Infinity', '-Infinity', 0] }])
    expect([0, 1, 2, 3, 4, 5, -1].map((bin) => cellValue(grid, 0, bin))).toEqual([
      null,
      'NaN',
      'Infinity',
      '-Infinity',
      0,
      null,
      null,
    ])
    expect(countKinds(grid, false)).toEqual([1, 1, 3, 0])
  })

  it('counts zero and less apart on a logarithmic scale only', () => {
    const grid = toGrid([{ step: 0, values: [-1, 0, 1, 'NaN', null] }])
    expect(countKinds(grid, true)).toEqual([1, 1, 1, 2])
    expect(cellKind(grid, 0, true)).toBe(CELL.nonPositive)
    expect(cellKind(grid, 0, false)).toBe(CELL.value)
  })

  it('is empty without a row', () => {
    const grid = toGrid([])
    expect(grid).toMatchObject({ steps: [], bins: 0 })
    expect(countKinds(grid, true)).toEqual([0, 0, 0, 0])
    expect(columnNear(grid, 0)).toBeNull()
  })

  it('gives back every value under its step and bin', () => {
    const scalar = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.constantFrom('NaN', 'Infinity', '-Infinity', null),
    )
    const rows = fc.uniqueArray(
      fc.record({
        step: fc.nat(1000),
        values: fc.array(scalar, { minLength: 1, maxLength: 6 }),
      }),
      { selector: ({ step }) => step, minLength: 1 },
    )
    fc.assert(
      fc.property(rows, (given) => {
        const grid = toGrid(given)
        for (const { step, values } of given) {
          const column = grid.steps.indexOf(step)
          for (const [bin, value] of values.entries()) expect(cellValue(grid, column, bin)).toBe(value)
        }
      }),
    )
  })
})

describe('difference', () => {
  const a = toGrid([0, 100, 200, 300].map((step) => ({ step, values: [step, step * 2] })))

  it('takes the nearest row of the other run, and none beyond its first and last', () => {
    const b = toGrid([
      { step: 90, values: [1, 2] },
      { step: 240, values: [10, 20] },
    ])
    const result = difference(a, b)!
    expect(result.steps).toEqual(a.steps)
    expect([...result.values]).toEqual([Number.NaN, Number.NaN, 99, 198, 190, 380, Number.NaN, Number.NaN])
    expect(countKinds(result, false)).toEqual([4, 4, 0, 0])
  })

  it('is zero against itself', () => {
    expect([...difference(a, a)!.values]).toEqual(new Array(8).fill(0))
  })

  it('keeps what is not finite in either run, and what is missing in either', () => {
    const left = toGrid([{ step: 0, values: ['NaN', 1, null, 1, 'Infinity', null] }])
    const right = toGrid([{ step: 0, values: [1, '-Infinity', 1, null, 'Infinity', 'NaN'] }])
    const kinds = [...difference(left, right)!.kinds]
    const { nonFinite, missing } = CELL
    expect(kinds).toEqual([nonFinite, nonFinite, missing, missing, nonFinite, nonFinite])
  })

  it('does not exist between different bins; against no row all is missing', () => {
    expect(difference(a, toGrid([{ step: 0, values: [1, 2, 3] }]))).toBeNull()
    expect(countKinds(difference(a, toGrid([]))!, false)).toEqual([0, 8, 0, 0])
  })
})

it('names the noise levels of a bin with the digits it takes', () => {
  expect(binText(0, 50)).toBe('0.00–0.02')
  expect(binText(19, 20)).toBe('0.95–1.00')
  expect(binText(1, 512)).toBe('0.002–0.004')
})
