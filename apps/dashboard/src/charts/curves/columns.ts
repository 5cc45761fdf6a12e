import { alignColumn, type Column, isolatedRows, slotsOf, tolerance, union } from './align.ts'
import { attemptJoins, attemptRuns } from './attempts.ts'
import type { AxisScale } from './axis-scale.ts'
import type { Curve } from './series.ts'

export interface Segment {
  key: string
  x: readonly [number, number]
  y: readonly [number, number]
}

/** What uPlot draws, y in positions of the scale, and what the overlay draws on top. */
export interface Columns {
  /** x of the rows, then for each curve: low, high, last and, if smoothed, smooth; then the expected band's low and high. */
  data: [number[], ...Column[]]
  /** Dotted, between attempts. */
  joins: Segment[]
  /** x of buckets with a value at or below zero on a log scale: drawn at the bottom edge. */
  edges: { key: string; x: number[] }[]
  /** By column: points with a gap on both sides, which no line shows. */
  isolated: number[][]
}

/** The expected band with its places on the x axis. */
export interface PlacedBand {
  x: number[]
  low: number[]
  high: number[]
}

/** Columns a curve takes. */
export const columnsPerCurve = (smoothed: boolean): number => (smoothed ? 4 : 3)

export function toColumns(
  curves: readonly Curve[],
  scale: AxisScale,
  expected: PlacedBand | null = null,
): Columns {
  const runs = curves.map((curve) => attemptRuns(curve.attempt))
  const breaks = curves.map((curve, index) =>
    (runs[index] ?? []).slice(1).map(({ from }) => ((curve.x[from - 1] ?? 0) + (curve.x[from] ?? 0)) / 2),
  )
  const places = [...curves.map((curve) => curve.x), expected?.x ?? []]
  const x = union([...places, ...breaks], tolerance(places))
  const floor = floorOf(curves, scale)
  const place = (value: number | null) => (value === null ? null : scale.forward(value))

  const data: Column[] = []
  const isolated: number[][] = []
  for (const [index, curve] of curves.entries()) {
    const slots = slotsOf(x, curve.x, breaks[index] ?? [])
    const high = curve.high.map(place)
    // Where the whole range is below a log scale there is no band, only the mark at the edge.
    const low = curve.low.map((value, at) =>
      value === null || high[at] === null ? null : (scale.forward(value) ?? floor),
    )
    const last = curve.last.map(place)
    for (const values of [low, high, last, ...(curve.smooth ? [curve.smooth.map(place)] : [])]) {
      data.push(alignColumn(x.length, slots, values))
      isolated.push(isolatedRows(slots, values))
    }
  }
  if (expected) {
    const slots = slotsOf(x, expected.x, [])
    const low = expected.low.map((value) => scale.forward(value) ?? floor)
    for (const values of [low, expected.high.map(place)]) data.push(alignColumn(x.length, slots, values))
  }
  return {
    data: [x, ...data],
    joins: curves.flatMap((curve, index) => joinsOf(curve, runs[index] ?? [], place)),
    edges: curves.map((curve) => ({ key: curve.key, x: edgesOf(curve, scale) })),
    isolated,
  }
}

function joinsOf(
  curve: Curve,
  runs: ReturnType<typeof attemptRuns>,
  place: (value: number | null) => number | null,
): Segment[] {
  const line = (curve.smooth ?? curve.last).map(place)
  return attemptJoins(runs, line).map(({ from, to }) => ({
    key: curve.key,
    x: [curve.x[from] ?? 0, curve.x[to] ?? 0],
    y: [line[from] ?? 0, line[to] ?? 0],
  }))
}

/** Only log scales refuse finite values. */
const edgesOf = (curve: Curve, scale: AxisScale): number[] =>
  curve.x.filter((_, index) =>
    [curve.last[index], curve.low[index]].some(
      (value) => typeof value === 'number' && scale.forward(value) === null,
    ),
  )

/** Where a band that reaches zero ends on a log scale: a little below the smallest value that has a place. */
function floorOf(curves: readonly Curve[], scale: AxisScale): number {
  if (scale.kind !== 'log2' && scale.kind !== 'log10') return 0
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const curve of curves) {
    for (const values of [curve.last, curve.low, curve.high]) {
      for (const value of values) {
        const position = value === null ? null : scale.forward(value)
        if (position === null) continue
        low = Math.min(low, position)
        high = Math.max(high, position)
      }
    }
  }
  return low > high ? 0 : low - ((high - low) * 0.05 || 0.5)
}
