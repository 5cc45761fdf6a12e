import { type ColourMap, hexToRgb, MARK_COLOURS, PACKED, packed, TABLE_SIZE } from './colour.ts'
import type { ColourScale } from './colour-scale.ts'
import { CELL, cellKind, type Grid } from './grid.ts'
import type { ColumnEdges, Domain } from './view.ts'

const NON_FINITE = packed(hexToRgb(MARK_COLOURS.nonFinite))
const NON_POSITIVE = packed(hexToRgb(MARK_COLOURS.nonPositive))
/** What is behind shows through: the hatching of missing cells. */
const CLEAR = 0

/** A pixel a cell, in the grid's order. Made once for each grid and scale; panning reads it only. */
export function paintCells(grid: Grid, scale: ColourScale, map: ColourMap): Uint32Array {
  const table = PACKED[map]
  const cells = new Uint32Array(grid.values.length)
  for (let index = 0; index < cells.length; index++) {
    switch (cellKind(grid, index, scale.kind === 'logarithmic')) {
      case CELL.value:
        cells[index] = table[Math.round(scale.place(grid.values[index] ?? 0) * (TABLE_SIZE - 1))] ?? CLEAR
        break
      case CELL.nonFinite:
        cells[index] = NON_FINITE
        break
      case CELL.nonPositive:
        cells[index] = NON_POSITIVE
        break
      case CELL.missing:
        cells[index] = CLEAR
    }
  }
  return cells
}

/** The columns that each pixel of the step axis touches, both included; from > to where it touches none. */
export interface PixelSpans {
  from: Int32Array
  to: Int32Array
}

/** @param width device pixels from one end of the domain to the other */
export function pixelSpans({ left, right }: ColumnEdges, domain: Domain, width: number): PixelSpans {
  const from = new Int32Array(width)
  const to = new Int32Array(width)
  const perPixel = (domain.to - domain.from) / width
  let [first, last] = [0, -1]
  for (let pixel = 0; pixel < width; pixel++) {
    const begin = domain.from + pixel * perPixel
    while (first < right.length && (right[first] ?? 0) <= begin) first++
    while (last + 1 < left.length && (left[last + 1] ?? 0) < begin + perPixel) last++
    from[pixel] = first
    to[pixel] = last
  }
  return { from, to }
}

/**
 * The visible part, a pixel wide for each pixel of the screen and `height` high, bin 0 at the bottom. Of several cells
 * in one pixel the last is shown, but a non-finite one before all others: the one NaN of a run is never the one left out.
 * @param height bins, or fewer where the screen has fewer pixels
 */
export function composeView(
  cells: Uint32Array,
  bins: number,
  spans: PixelSpans,
  height: number,
): Uint32Array<ArrayBuffer> {
  const width = spans.from.length
  const image = new Uint32Array(width * height)
  for (let y = 0; y < height; y++) {
    const bottom = Math.floor(((height - 1 - y) * bins) / height)
    const top = Math.max(bottom + 1, Math.floor(((height - y) * bins) / height))
    for (let x = 0; x < width; x++) {
      let shown = CLEAR
      for (let column = spans.from[x] ?? 0; column <= (spans.to[x] ?? -1); column++) {
        for (let bin = bottom; bin < top; bin++) {
          const cell = cells[column * bins + bin] ?? CLEAR
          if (cell !== CLEAR && shown !== NON_FINITE) shown = cell
        }
      }
      image[y * width + x] = shown
    }
  }
  return image
}
