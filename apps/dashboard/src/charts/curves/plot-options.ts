import type uPlot from 'uplot'
import { padded } from './axis-scale.ts'
import { columnsPerCurve } from './columns.ts'
import { drawOverlay, type Overlay } from './overlay.ts'
import { faded } from './theme.ts'
import type { XAxis } from './types.ts'
import { formatPlaces } from './x-axis.ts'

/** What hooks and axes read each time they run, so that new data needs no new chart. */
export interface PlotState extends Overlay {
  /** Places in view; null: all of the data. */
  range: readonly [number, number] | null
  onSelect: (from: number, to: number) => void
  onReset: () => void
  /** A place under the pointer, null where it left. */
  onPointer: (place: number | null) => void
  onDraw: (plot: uPlot) => void
}

/** What the number and kind of columns depend on: another of these is another chart. */
export interface PlotShape {
  keys: readonly string[]
  smoothed: boolean
  expected: boolean
  axis: XAxis
}

export interface PlotSize {
  width: number
  height: number
}

/** Seconds between ticks of a duration, up to 100 days. */
const DURATIONS = [
  0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200,
  86_400, 172_800, 432_000, 864_000, 8_640_000,
]
const WHOLE = Array.from({ length: 13 }, (_, power) => [1, 2, 5].map((factor) => factor * 10 ** power)).flat()

export function plotOptions(
  shape: PlotShape,
  size: PlotSize,
  state: () => PlotState,
  pixelRatio: () => number,
): uPlot.Options {
  const { theme } = state()
  const axis = {
    stroke: theme.ink,
    grid: { stroke: theme.grid, width: 1 },
    ticks: { show: false },
    font: theme.font,
  }
  return {
    ...size,
    padding: [6, 8, 0, 0],
    scales: {
      x: { time: shape.axis === 'wall', range: () => placesInView(state()) },
      y: { range: (_plot, low, high) => padded(state().model.scale, low, high) },
    },
    legend: { show: false },
    cursor: {
      y: false,
      points: { show: false },
      drag: { x: true, y: false, setScale: false, dist: 4 },
      bind: {
        dblclick: () => () => {
          state().onReset()
          return null
        },
      },
    },
    axes: [
      {
        ...axis,
        space: 70,
        size: shape.axis === 'wall' ? 40 : 28,
        ...(shape.axis === 'wall' ? {} : { incrs: shape.axis === 'process' ? DURATIONS : WHOLE }),
        values: (_plot, places) => formatPlaces(shape.axis, places),
      },
      {
        ...axis,
        size: (_plot, texts) => 16 + 6.4 * Math.max(4, ...(texts ?? []).map((text) => text?.length ?? 0)),
        splits: (plot, _axis, low, high) => yTicks(state(), low, high, plot.bbox.height / pixelRatio()),
        values: (_plot, positions) => tickTexts(state(), positions),
      },
    ],
    series: [{}, ...lines(shape, state)],
    bands: bands(shape, state),
    hooks: {
      setSelect: [
        (plot) => {
          const { left, width } = plot.select
          if (width <= 0) return
          const [from, to] = [plot.posToVal(left, 'x'), plot.posToVal(left + width, 'x')]
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
          state().onSelect(from, to)
        },
      ],
      setCursor: [
        (plot) => {
          const { left = -1 } = plot.cursor
          state().onPointer(left < 0 ? null : plot.posToVal(left, 'x'))
        },
      ],
      draw: [
        (plot) => {
          drawOverlay(plot, state(), pixelRatio())
          state().onDraw(plot)
        },
      ],
    },
  }
}

/** Never empty: a single point stands in the middle. */
function placesInView({ range, model }: PlotState): [number, number] {
  const [x] = model.columns.data
  const [from, to] = range ?? [x[0] ?? 0, x.at(-1) ?? 1]
  return to > from ? [from, to] : [from - 1, from + 1]
}

function yTicks({ model }: PlotState, low: number, high: number, height: number): number[] {
  // Without a value the range is made up, and so would its numbers be.
  if (!model.drawable) return []
  const { scale } = model
  const most = Math.max(2, Math.floor(height / 32))
  return scale.ticks(scale.inverse(low), scale.inverse(high), most).map((value) => scale.forward(value) ?? 0)
}

function tickTexts({ model: { scale } }: PlotState, positions: readonly number[]): string[] {
  const values = positions.map(scale.inverse)
  return values.map((value, index) => {
    const neighbour = values[index + 1] ?? values[index - 1] ?? value
    return scale.format(value, Math.abs(neighbour - value))
  })
}

function lines({ keys, smoothed, expected }: PlotShape, state: () => PlotState): uPlot.Series[] {
  const { styles, theme } = state()
  const hidden: uPlot.Series = { points: { show: false } }
  const edge: uPlot.Series = { ...hidden, stroke: faded(theme.ink, 0.5), width: 1, dash: [2, 2] }
  const curves = keys.flatMap((key): uPlot.Series[] => {
    const { colour, dash } = styles.get(key) ?? { colour: theme.ink, dash: [] }
    const line = (stroke: string): uPlot.Series => ({
      stroke,
      dash,
      width: 1.5,
      // A point that no line shows; a lone bucket between two gaps is still a value.
      points: {
        show: () => false,
        filter: (_plot, index) => state().model.columns.isolated[index - 1] ?? [],
        size: 5,
        width: 0,
        fill: stroke,
      },
    })
    return [
      hidden,
      hidden,
      line(smoothed ? faded(colour, 0.25) : colour),
      ...(smoothed ? [line(colour)] : []),
    ]
  })
  return expected ? [...curves, edge, edge] : curves
}

/** From the upper column to the lower; indices count the x column. */
function bands({ keys, smoothed, expected }: PlotShape, state: () => PlotState): uPlot.Band[] {
  const { styles, theme } = state()
  const each = columnsPerCurve(smoothed)
  const own = keys.map((key, index): uPlot.Band => {
    const low = 1 + index * each
    return { series: [low + 1, low], fill: faded(styles.get(key)?.colour ?? '#808080', 0.18) }
  })
  const low = 1 + keys.length * each
  return expected ? [...own, { series: [low + 1, low], fill: faded(theme.ink, 0.12) }] : own
}
