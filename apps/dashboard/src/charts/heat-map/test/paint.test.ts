import { describe, expect, it } from 'vitest'
import { hexToRgb, MARK_COLOURS, PACKED, packed } from '../colour.ts'
import { gridScale } from '../colour-scale.ts'
import { toGrid } from '../grid.ts'
import { composeView, paintCells, pixelSpans } from '../paint.ts'
import { columnEdges } from '../view.ts'

const NON_FINITE = packed(hexToRgb(MARK_COLOURS.nonFinite))
const NON_POSITIVE = packed(hexToRgb(MARK_COLOURS.nonPositive))

describe('paintCells', () => {
  const grid = toGrid([{ step: 0, values: [1, 100, 'NaN', '-Infinity', null, 0] }])

  it('gives ends, marks and missing their own pixels', () => {
    const scale = gridScale(grid, 'logarithmic', { centred: false, robust: false })
    const { sequential } = PACKED
    expect([...paintCells(grid, scale, 'sequential')]).toEqual([
      sequential[0],
      sequential[255],
      NON_FINITE,
      NON_FINITE,
      0,
      NON_POSITIVE,
    ])
  })

  it('has a colour for zero on the other scales', () => {
    const scale = gridScale(grid, 'linear', { centred: false, robust: false })
    expect(paintCells(grid, scale, 'sequential')[5]).toBe(PACKED.sequential[0])
  })

  it('puts zero in the middle of the diverging map', () => {
    const zero = toGrid([{ step: 0, values: [0, 3] }])
    const scale = gridScale(zero, 'linear', { centred: true, robust: false })
    expect(paintCells(zero, scale, 'diverging')[0]).toBe(PACKED.diverging[128])
  })
})

describe('pixelSpans', () => {
  it('gives columns room by their steps, and none to a hole', () => {
    const edges = columnEdges([0, 10, 20, 100, 110, 120])
    const { from, to } = pixelSpans(edges, { from: -5, to: 125 }, 13)
    expect([...from]).toEqual([0, 1, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4, 5])
    expect([...to]).toEqual([0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 4, 5])
  })

  it('leaves out no column where there are more than pixels', () => {
    const steps = Array.from({ length: 1000 }, (_, index) => index)
    const { from, to } = pixelSpans(columnEdges(steps), { from: -0.5, to: 999.5 }, 7)
    expect(from[0]).toBe(0)
    expect(to[6]).toBe(999)
    for (let pixel = 1; pixel < 7; pixel++) expect(from[pixel]!).toBeLessThanOrEqual(to[pixel - 1]! + 1)
  })
})

describe('composeView', () => {
  it('has bin 0 at the bottom and the first step at the left', () => {
    const cells = Uint32Array.of(1, 2, 3, 4)
    const spans = { from: Int32Array.of(0, 1), to: Int32Array.of(0, 1) }
    expect([...composeView(cells, 2, spans, 2)]).toEqual([2, 4, 1, 3])
  })

  it('never loses a non-finite cell among others, neither across nor along', () => {
    const cells = new Uint32Array(1000 * 8).fill(5)
    cells[421 * 8 + 3] = NON_FINITE
    const steps = Array.from({ length: 1000 }, (_, index) => index)
    const spans = pixelSpans(columnEdges(steps), { from: -0.5, to: 999.5 }, 10)
    const image = composeView(cells, 8, spans, 4)
    // Column 421 is in the fifth of ten pixels, bin 3 in the second of four from below.
    expect([...image.keys()].filter((index) => image[index] === NON_FINITE)).toEqual([2 * 10 + 4])
  })

  it('is clear in a hole', () => {
    const spans = { from: Int32Array.of(1), to: Int32Array.of(0) }
    expect([...composeView(Uint32Array.of(1, 2), 1, spans, 1)]).toEqual([0])
  })
})
