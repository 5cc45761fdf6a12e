import type uPlot from 'uplot'
import { type AxisScale, padded } from '../curves/axis-scale.ts'
import type { LineStyle } from '../curves/palette.ts'
import type { ChartTheme } from '../curves/theme.ts'
import type { Lines } from './profile.ts'

/** What hooks and axes read each time they run, so that new data needs no new chart. */
export interface LineState {
  data: Lines
  scale: AxisScale
  /** Ends of the x axis. */
  range: readonly [number, number]
  formatX: (x: number) => string
  theme: ChartTheme
  styles: readonly LineStyle[]
  /** Index into x under the pointer, null where it left. */
  onPointer: (index: number | null) => void
}

/** uPlot's columns: positions on the scale. null is a break, undefined no point of this line. */
export function toColumns({ x, lines }: Lines, scale: AxisScale): uPlot.AlignedData {
  return [
    x,
    ...lines.map(({ values }) =>
      values.map((value) =>
        value === undefined ? undefined : typeof value === 'number' ? scale.forward(value) : null,
      ),
    ),
  ]
}

export function lineOptions(size: { width: number; height: number }, state: () => LineState): uPlot.Options {
  const { theme, styles } = state()
  const axis = {
    stroke: theme.ink,
    grid: { stroke: theme.grid, width: 1 },
    ticks: { show: false },
    font: theme.font,
  }
  return {
    ...size,
    padding: [8, 10, 0, 0],
    scales: {
      x: { time: false, range: () => [...state().range] as [number, number] },
      y: { range: (_plot, low, high) => padded(state().scale, low, high) },
    },
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    axes: [
      { ...axis, size: 28, values: (_plot, ticks) => ticks.map(state().formatX) },
      {
        ...axis,
        size: (_plot, texts) => 16 + 6.4 * Math.max(4, ...(texts ?? []).map((text) => text?.length ?? 0)),
        splits: (plot, _axis, low, high) => yTicks(state(), low, high, plot.height),
        values: (_plot, positions) => tickTexts(state().scale, positions),
      },
    ],
    series: [
      {},
      ...styles.map(({ colour, dash }) => ({ stroke: colour, dash, width: 1.5, points: { show: false } })),
    ],
    hooks: {
      setCursor: [
        (plot) => {
          const { left = -1, idx } = plot.cursor
          state().onPointer(left < 0 ? null : (idx ?? null))
        },
      ],
      draw: [(plot) => drawUnshown(plot, state())],
    },
  }
}

function yTicks({ scale }: LineState, low: number, high: number, height: number): number[] {
  const most = Math.max(2, Math.floor((height - 40) / 32))
  return scale.ticks(scale.inverse(low), scale.inverse(high), most).map((value) => scale.forward(value) ?? 0)
}

function tickTexts(scale: AxisScale, positions: readonly number[]): string[] {
  const values = positions.map(scale.inverse)
  return values.map((value, index) => {
    const neighbour = values[index + 1] ?? values[index - 1] ?? value
    return scale.format(value, Math.abs(neighbour - value))
  })
}

/** Triangles in the line's colour: non-finite values at the top edge, those below a log scale at the bottom edge. */
function drawUnshown(plot: uPlot, { data, scale, styles }: LineState): void {
  const { ctx: pen, bbox } = plot
  const half = bbox.height / 30
  for (const [index, { values }] of data.lines.entries()) {
    pen.fillStyle = styles[index]?.colour ?? '#808080'
    for (const [at, value] of values.entries()) {
      const up = typeof value === 'string'
      const down = typeof value === 'number' && scale.forward(value) === null
      const x = plot.valToPos(data.x[at] ?? 0, 'x', true)
      if ((!up && !down) || x < bbox.left || x > bbox.left + bbox.width) continue
      const edge = up ? bbox.top : bbox.top + bbox.height
      const inside = edge + (up ? 2 : -2) * half
      pen.beginPath()
      pen.moveTo(x, edge)
      pen.lineTo(x - half, inside)
      pen.lineTo(x + half, inside)
      pen.fill()
    }
  }
}
