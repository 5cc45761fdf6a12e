import type uPlot from 'uplot'
import type { ChartModel } from './model.ts'
import type { LineStyle } from './palette.ts'
import type { ChartTheme } from './theme.ts'

/** An event with its place on the x axis. */
export interface PlacedMark {
  x: number
  kind: 'note' | 'warning'
}

export interface Overlay {
  model: ChartModel
  styles: ReadonlyMap<string, LineStyle>
  theme: ChartTheme
  marks: readonly PlacedMark[]
}

/** Draws over uPlot's lines, in canvas pixels, clipped to the plot: joins of attempts, values below a log scale, events. */
export function drawOverlay(plot: uPlot, { model, styles, theme, marks }: Overlay, pixelRatio: number): void {
  const { ctx, bbox } = plot
  ctx.save()
  ctx.beginPath()
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height)
  ctx.clip()
  drawMarks(plot, marks, theme, pixelRatio)
  for (const { key, x, y } of model.columns.joins) {
    ctx.strokeStyle = styles.get(key)?.colour ?? theme.ink
    ctx.lineWidth = 1.5 * pixelRatio
    ctx.setLineDash([1.5 * pixelRatio, 3 * pixelRatio])
    ctx.beginPath()
    ctx.moveTo(plot.valToPos(x[0], 'x', true), plot.valToPos(y[0], 'y', true))
    ctx.lineTo(plot.valToPos(x[1], 'x', true), plot.valToPos(y[1], 'y', true))
    ctx.stroke()
  }
  ctx.setLineDash([])
  for (const { key, x } of model.columns.edges) {
    ctx.fillStyle = styles.get(key)?.colour ?? theme.ink
    for (const left of oncePerPixel(plot, x, 3 * pixelRatio)) {
      triangle(ctx, left, bbox.top + bbox.height, 4 * pixelRatio, -1)
    }
  }
  if (!model.drawable) {
    ctx.fillStyle = theme.ink
    ctx.font = theme.font.replace('11px', `${11 * pixelRatio}px`)
    ctx.textAlign = 'center'
    ctx.fillText(nothing(model), bbox.left + bbox.width / 2, bbox.top + bbox.height / 2)
  }
  ctx.restore()
}

const nothing = ({ columns, scale }: ChartModel): string =>
  columns.edges.some(({ x }) => x.length > 0)
    ? `No value above zero on a ${scale.kind} scale`
    : 'No finite value'

function drawMarks(plot: uPlot, marks: readonly PlacedMark[], theme: ChartTheme, pixelRatio: number): void {
  const { ctx, bbox } = plot
  for (const kind of ['note', 'warning'] as const) {
    const places = marks.filter((mark) => mark.kind === kind).map(({ x }) => x)
    ctx.strokeStyle = ctx.fillStyle = kind === 'warning' ? theme.warning : theme.ink
    ctx.lineWidth = pixelRatio
    ctx.setLineDash(kind === 'warning' ? [] : [3 * pixelRatio, 3 * pixelRatio])
    ctx.globalAlpha = 0.7
    for (const left of oncePerPixel(plot, places, pixelRatio)) {
      ctx.beginPath()
      ctx.moveTo(left, bbox.top)
      ctx.lineTo(left, bbox.top + bbox.height)
      ctx.stroke()
      if (kind === 'warning') triangle(ctx, left, bbox.top, 5 * pixelRatio, 1)
    }
  }
  ctx.globalAlpha = 1
  ctx.setLineDash([])
}

/** Canvas pixels of places in view, at least `apart` from each other: 84,000 skipped steps are one line a pixel. */
function* oncePerPixel(plot: uPlot, places: readonly number[], apart: number): Generator<number> {
  const { left, width } = plot.bbox
  let before = Number.NEGATIVE_INFINITY
  for (const place of places) {
    const at = plot.valToPos(place, 'x', true)
    if (at < left - 1 || at > left + width + 1 || at - before < apart) continue
    before = at
    yield at
  }
}

/** Its base on a horizontal edge, its tip inside the plot. @param direction 1 from the top edge, -1 from the bottom */
function triangle(
  ctx: CanvasRenderingContext2D,
  left: number,
  edge: number,
  size: number,
  direction: 1 | -1,
): void {
  ctx.beginPath()
  ctx.moveTo(left - size, edge)
  ctx.lineTo(left + size, edge)
  ctx.lineTo(left, edge + direction * size * 1.5)
  ctx.fill()
}
