import { type BinRange, type HistogramColumn, quantile } from './histogram.ts'
import { COLOURS } from './palette.ts'
import { type ChartTheme, faded } from './theme.ts'

/** Two slots that are far apart for everyone; medians differ in dash too. */
export const classColours = ({ scheme }: Pick<ChartTheme, 'scheme'>) => ({
  real: COLOURS[scheme][0],
  fake: COLOURS[scheme][1],
})

export const MEDIAN_DASH = { real: [], fake: [4, 3] } as const

/** Steps of opacity that a class's cells have: cells of one step are filled in one go. */
const LEVELS = 16

const CLASSES = ['real', 'fake'] as const

/** Steps to the right, logits up; a cell is as opaque as its bin is full. Canvas pixels. */
export function drawHistory(
  context: CanvasRenderingContext2D,
  columns: readonly HistogramColumn[],
  range: BinRange,
  theme: ChartTheme,
): void {
  const { width, height } = context.canvas
  const colours = classColours(theme)
  context.clearRect(0, 0, width, height)
  const left = (index: number) => Math.floor((index * width) / columns.length)
  const top = (value: number) => height * (1 - (value - range.low) / (range.high - range.low || 1))

  for (const side of CLASSES) {
    const most = Math.max(...columns.map((column) => Math.max(0, ...(column[side] ?? []))), 1e-9)
    const cells: [number, number, number, number][][] = Array.from({ length: LEVELS + 1 }, () => [])
    for (const [index, column] of columns.entries()) {
      const shares = column[side] ?? []
      for (const [bin, share] of shares.entries()) {
        // The square root keeps thin tails in view.
        const level = Math.ceil(Math.sqrt(share / most) * LEVELS)
        const [from, to] = [
          height - ((bin + 1) * height) / shares.length,
          height - (bin * height) / shares.length,
        ]
        cells[level]?.push([left(index), from, Math.max(left(index + 1) - left(index), 1), to - from])
      }
    }
    for (const [level, boxes] of cells.entries()) {
      if (level === 0) continue
      context.fillStyle = faded(colours[side], (0.75 * level) / LEVELS)
      for (const box of boxes) context.fillRect(...box)
    }
  }
  for (const side of CLASSES) {
    context.strokeStyle = colours[side]
    context.lineWidth = 2
    context.setLineDash([...MEDIAN_DASH[side]])
    context.beginPath()
    let drawing = false
    for (const [index, column] of columns.entries()) {
      const shares = column[side]
      if (shares) {
        const at = [(left(index) + left(index + 1)) / 2, top(quantile(shares, range, 0.5))] as const
        if (drawing) context.lineTo(...at)
        else context.moveTo(...at)
      }
      drawing = shares !== null
    }
    context.stroke()
  }
  context.setLineDash([])
  context.fillStyle = theme.warning
  for (const [index, { real, fake }] of columns.entries()) {
    // A row without a shape: not finite, empty or missing. It is marked, not left blank.
    if (real === null || fake === null)
      context.fillRect(left(index), 0, Math.max(left(index + 1) - left(index), 3), 5)
  }
}

/** One step's two histograms, turned like the history beside it: logits up, shares to the right. */
export function drawProfile(
  context: CanvasRenderingContext2D,
  column: HistogramColumn,
  theme: ChartTheme,
): void {
  const { width, height } = context.canvas
  const colours = classColours(theme)
  context.clearRect(0, 0, width, height)
  const most = Math.max(1e-9, ...(column.real ?? []), ...(column.fake ?? []))
  for (const side of CLASSES) {
    const shares = column[side]
    if (!shares) continue
    context.beginPath()
    context.moveTo(0, height)
    for (const [bin, share] of shares.entries()) {
      const right = (0.94 * width * share) / most
      context.lineTo(right, height - (bin * height) / shares.length)
      context.lineTo(right, height - ((bin + 1) * height) / shares.length)
    }
    context.lineTo(0, 0)
    context.fillStyle = faded(colours[side], 0.25)
    context.fill()
    context.strokeStyle = colours[side]
    context.lineWidth = 2
    context.setLineDash([...MEDIAN_DASH[side]])
    context.stroke()
  }
  context.setLineDash([])
}
