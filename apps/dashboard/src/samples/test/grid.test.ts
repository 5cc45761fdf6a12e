import { describe, expect, it } from 'vitest'
import { rowSegments } from '../row-segments.ts'
import { rowWindow, scrollToRow } from '../row-window.ts'
import { movedCell, zoomedCell, zoomText } from '../zoom.ts'

describe('rowWindow', () => {
  it('holds every row that a view can show, with some beyond', () => {
    expect(rowWindow(1000, 450, 100, 360)).toEqual({ from: 7, to: 18 })
  })

  it('stays within the rows, wherever it is scrolled to', () => {
    expect(rowWindow(0, 450, 100, 360).from).toBe(0)
    expect(rowWindow(0, 450, 100, 2)).toEqual({ from: 0, to: 2 })
    expect(rowWindow(90_000, 450, 100, 5)).toEqual({ from: 4, to: 5 })
    expect(rowWindow(0, 450, 100, 0)).toEqual({ from: 0, to: 0 })
  })
})

describe('scrollToRow', () => {
  it('moves no further than needed', () => {
    expect(scrollToRow(500, 460, 100, 6, 60)).toBe(500)
    expect(scrollToRow(500, 460, 100, 4, 60)).toBe(400)
    expect(scrollToRow(500, 460, 100, 9, 60)).toBe(600)
  })
})

describe('rowSegments', () => {
  const height = (segments: ReturnType<typeof rowSegments>): number =>
    segments.reduce((sum, one) => sum + (one.kind === 'gap' ? one.rows : 1), 0)

  it('keeps the height of all rows, with the focused one far away', () => {
    for (const kept of [0, 3, 5, 7, 20, 99])
      expect(height(rowSegments({ from: 5, to: 8 }, kept, 100)), `row ${kept}`).toBe(100)
  })

  it('draws the window and the focused row, in order', () => {
    const drawn = rowSegments({ from: 5, to: 8 }, 2, 100).flatMap((one) =>
      one.kind === 'row' ? [one.index] : [],
    )
    expect(drawn).toEqual([2, 5, 6, 7])
  })

  it('draws nothing of nothing', () => {
    expect(rowSegments({ from: 0, to: 0 }, -1, 0)).toEqual([])
  })
})

describe('zoom', () => {
  const rows = ['trained/colors/0000.0', 'trained/colors/0001.0']
  const columns = ['teacher-ab', 'few_step-cd']

  it('finds the cell that it named', () => {
    expect(zoomedCell(zoomText('trained/colors/0001.0', 'few_step-cd'), rows, columns)).toEqual({
      row: 1,
      column: 1,
    })
  })

  it('is nothing for an address of another grid', () => {
    for (const text of [
      undefined,
      '',
      'trained/colors/0001.0',
      'trained/colors/0001.0~base-ef',
      '~teacher-ab',
    ])
      expect(zoomedCell(text, rows, columns), String(text)).toBeNull()
  })

  it('moves by arrows and stops at the edges', () => {
    const at = { row: 1, column: 1 }
    expect(movedCell('ArrowLeft', at, 2, 2, 5)).toEqual({ row: 1, column: 0 })
    expect(movedCell('ArrowRight', at, 2, 2, 5)).toEqual(at)
    expect(movedCell('PageUp', at, 2, 2, 5)).toEqual({ row: 0, column: 1 })
    expect(movedCell('Tab', at, 2, 2, 5)).toBeNull()
  })
})
