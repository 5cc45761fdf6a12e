import type { ChartTheme } from '../curves/theme.ts'
import { CELL, type Grid } from './grid.ts'
import { composeView, pixelSpans } from './paint.ts'
import type { Cell } from './types.ts'
import { type ColumnEdges, type Domain, inDomain } from './view.ts'

/** CSS pixels. A cross tells non-finite cells apart from bright ones by shape, where a cell has room for it. */
const CROSS_FROM = 7
/** CSS pixels: an outline is at least this wide and high, so that a narrow cell's is seen. */
const OUTLINE_LEAST = 5

export interface MapDrawing {
  grid: Grid
  /** A pixel a cell, see `paintCells`. */
  cells: Uint32Array
  edges: ColumnEdges
  domain: Domain
  /** Cells to outline: those that a guard acted on. */
  outlined: readonly Cell[]
  theme: ChartTheme
  /** Device pixels a CSS pixel. */
  ratio: number
}

/**
 * Draws the visible steps over the whole canvas, whose size is in device pixels.
 * @param buffer takes the composed pixels; kept by the caller, since a new canvas a frame is the costly part
 */
export function drawMap(
  context: CanvasRenderingContext2D,
  buffer: HTMLCanvasElement,
  drawing: MapDrawing,
): void {
  const { width, height } = context.canvas
  const { grid, cells, edges, domain, theme, ratio } = drawing
  context.fillStyle = hatching(context, theme, ratio) ?? theme.background
  context.fillRect(0, 0, width, height)
  const rows = Math.min(grid.bins, height)
  if (rows === 0 || width === 0) return
  const image = composeView(cells, grid.bins, pixelSpans(edges, domain, width), rows)
  buffer.width = width
  buffer.height = rows
  buffer.getContext('2d')?.putImageData(new ImageData(new Uint8ClampedArray(image.buffer), width, rows), 0, 0)
  context.imageSmoothingEnabled = false
  context.drawImage(buffer, 0, 0, width, height)
  drawCrosses(context, drawing)
  drawOutlines(context, drawing)
}

/** Device pixels of a cell. */
function boxOf({ canvas }: CanvasRenderingContext2D, drawing: MapDrawing, column: number, bin: number) {
  const { grid, edges, domain } = drawing
  const x = (step: number) => ((step - domain.from) / (domain.to - domain.from)) * canvas.width
  const left = x(edges.left[column] ?? 0)
  const height = canvas.height / grid.bins
  return { left, top: canvas.height - (bin + 1) * height, width: x(edges.right[column] ?? 0) - left, height }
}

function drawCrosses(context: CanvasRenderingContext2D, drawing: MapDrawing): void {
  const { grid, edges, domain, ratio } = drawing
  context.strokeStyle = '#000000'
  context.lineWidth = ratio
  context.beginPath()
  for (let column = 0; column < grid.steps.length; column++) {
    if (!inDomain(edges, domain, column)) continue
    for (let bin = 0; bin < grid.bins; bin++) {
      if (grid.kinds[column * grid.bins + bin] !== CELL.nonFinite) continue
      const { left, top, width, height } = boxOf(context, drawing, column, bin)
      if (Math.min(width, height) < CROSS_FROM * ratio) continue
      const half = Math.min(width, height, 16 * ratio) / 4
      const [x, y] = [left + width / 2, top + height / 2]
      context.moveTo(x - half, y - half)
      context.lineTo(x + half, y + half)
      context.moveTo(x + half, y - half)
      context.lineTo(x - half, y + half)
    }
  }
  context.stroke()
}

/** White in black: seen on every colour of both maps. */
function drawOutlines(context: CanvasRenderingContext2D, drawing: MapDrawing): void {
  const { grid, outlined, ratio } = drawing
  const columns = new Map(grid.steps.map((step, index) => [step, index]))
  const least = OUTLINE_LEAST * ratio
  context.beginPath()
  for (const { step, bin } of outlined) {
    const column = columns.get(step) ?? -1
    if (!inDomain(drawing.edges, drawing.domain, column)) continue
    const box = boxOf(context, drawing, column, bin)
    const [width, height] = [Math.max(box.width, least), Math.max(box.height, least)]
    context.rect(
      Math.round(box.left + (box.width - width) / 2),
      Math.round(box.top + (box.height - height) / 2),
      Math.round(width),
      Math.round(height),
    )
  }
  for (const [colour, thickness] of [
    ['#000000', 3],
    ['#ffffff', 1],
  ] as const) {
    context.strokeStyle = colour
    context.lineWidth = thickness * ratio
    context.stroke()
  }
}

/** Diagonal lines: missing is no colour of the map and no empty page either. */
function hatching(context: CanvasRenderingContext2D, theme: ChartTheme, ratio: number): CanvasPattern | null {
  const size = Math.round(8 * ratio)
  const tile = context.canvas.ownerDocument.createElement('canvas')
  tile.width = size
  tile.height = size
  const pen = tile.getContext('2d')
  if (!pen) return null
  pen.fillStyle = theme.background
  pen.fillRect(0, 0, size, size)
  pen.strokeStyle = theme.ink
  pen.globalAlpha = 0.45
  pen.lineWidth = ratio
  pen.beginPath()
  // Drawn a tile further at both corners, so that the lines meet across tiles.
  for (const shift of [-size, 0, size]) {
    pen.moveTo(shift, size)
    pen.lineTo(shift + size, 0)
  }
  pen.stroke()
  return context.createPattern(tile, 'repeat')
}
