import { describe, expect, it } from 'vitest'
import { toGrid } from '../grid.ts'
import { clusterKind, clusterMarks, markedCells, marksIn, nextMark, placeMarks } from '../marks.ts'
import { cellText, mapText } from '../readout.ts'
import type { HeatMark } from '../types.ts'
import { columnEdges } from '../view.ts'

const grid = toGrid([0, 100, 200].map((step) => ({ step, values: [step / 1000, 'NaN', null] })))
const edges = columnEdges(grid.steps)
const mark = (step: number, rest: Partial<HeatMark> = {}): HeatMark => ({
  step,
  kind: 'clamp',
  text: `at ${step}`,
  ...rest,
})

describe('marks', () => {
  const placed = placeMarks([mark(160, { bin: 2 }), mark(110), mark(9000)], grid, edges)

  it('belong to the column that covers their step, or to none', () => {
    expect(placed.map(({ mark: { step }, column }) => [step, column])).toEqual([
      [110, 1],
      [160, 2],
      [9000, null],
    ])
  })

  it('show in their cell; without a bin in all of their column', () => {
    expect(marksIn(placed, 1, 0)).toHaveLength(1)
    expect(marksIn(placed, 2, 2)).toHaveLength(1)
    expect(marksIn(placed, 2, 1)).toHaveLength(0)
    expect(markedCells(placed, grid)).toEqual([{ step: 200, bin: 2 }])
  })

  it('are gone to one after the other', () => {
    expect(nextMark(placed, null, 1)?.mark.step).toBe(110)
    expect(nextMark(placed, 110, 1)?.mark.step).toBe(160)
    expect(nextMark(placed, 160, 1)).toBeNull()
    expect(nextMark(placed, 160, -1)?.mark.step).toBe(110)
  })

  it('are one button where they are close, and look like the worst', () => {
    const close = placeMarks(
      [mark(0), mark(1, { kind: 'non_finite' }), mark(2, { kind: 'rollback' }), mark(100)],
      grid,
      edges,
    )
    const clusters = clusterMarks(close, (step) => step * 2, 24)
    expect(clusters.map(({ left, marks }) => [left, marks.length])).toEqual([
      [0, 3],
      [200, 1],
    ])
    expect(clusters.map(clusterKind)).toEqual(['non_finite', 'clamp'])
    expect(clusterMarks(close, () => null, 24)).toEqual([])
  })
})

describe('the readout', () => {
  it('names step, noise levels, value and events', () => {
    const placed = placeMarks([mark(100, { bin: 0, text: 'ratio at 100' })], grid, edges)
    expect(cellText(grid, { column: 1, bin: 0 }, placed)).toBe(
      'step 100 · t 0.00–0.33 · 0.1 · clamped: ratio at 100',
    )
    expect(cellText(grid, { column: 1, bin: 1 }, placed)).toBe('step 100 · t 0.33–0.67 · NaN')
    expect(cellText(grid, { column: 1, bin: 2 }, placed)).toBe('step 100 · t 0.67–1.00 · no value')
  })

  it('counts what has no colour', () => {
    expect(mapText('KD', grid, [3, 3, 3, 0])).toBe(
      'KD: 3 noise levels by 3 steps, steps 0 to 200, 3 cells not finite, 3 cells missing',
    )
    expect(mapText('KD', toGrid([]), [0, 0, 0, 0])).toBe('KD: no row yet')
  })
})
