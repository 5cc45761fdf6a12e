import { union } from './align.ts'
import { type AxisScale, axisScale, type ScaleKind } from './axis-scale.ts'
import { type Columns, type PlacedBand, toColumns } from './columns.ts'
import { type NonFiniteMark, nonFiniteCount, nonFiniteMarks } from './non-finite.ts'
import { type Curve, toCurve, valuesOf } from './series.ts'
import type { CurveSeries, ExpectedBand, XAxis } from './types.ts'
import type { StepWindow } from './window.ts'
import { placeNear, placeStep } from './x-axis.ts'

/** All that a chart derives from its series, made once for each change of data and never for a move of the cursor. */
export interface ChartModel {
  curves: Curve[]
  columns: Columns
  scale: AxisScale
  /** Non-finite buckets of each series, in order of step, and the points in them. */
  nonFinite: { key: string; label: string; marks: NonFiniteMark[]; count: number }[]
  /** Steps that the cursor stops at, ascending, each once. */
  steps: number[]
  /** First and last step of the data; null without data. */
  extent: StepWindow | null
  /** Buckets without a place on the x axis. */
  unplaced: number
  /** Whether any value has a place on the y axis. */
  drawable: boolean
}

export function chartModel(
  series: readonly CurveSeries[],
  options: { axis: XAxis; scale: ScaleKind; smoothing: number; band: ExpectedBand | null },
): ChartModel {
  const curves = series.map((one) => toCurve(one, options.axis, options.smoothing))
  const scale = axisScale(options.scale, options.scale === 'symlog' ? valuesOf(curves) : [])
  const steps = union(series.map(({ points }) => points.buckets.map(({ step }) => step)))
  const [first, last] = [steps[0], steps.at(-1)]
  const columns = toColumns(curves, scale, options.band && placeBand(options.band, series, options.axis))
  return {
    curves,
    scale,
    columns,
    drawable: columns.data.slice(1).some((column) => column.some((value) => typeof value === 'number')),
    nonFinite: series.map(({ key, label, points }) => {
      const marks = nonFiniteMarks(points)
      return { key, label, marks, count: nonFiniteCount(marks) }
    }),
    steps,
    extent: first === undefined || last === undefined ? null : { from: first, to: last },
    unplaced: curves.reduce((sum, { unplaced }) => sum + unplaced, 0),
  }
}

/**
 * A reference run has its own clock; "at the same step" is what its band means on every axis, so it is placed by the
 * first series' clock, and ends where that ends.
 */
function placeBand({ range }: ExpectedBand, series: readonly CurveSeries[], axis: XAxis): PlacedBand {
  const band: PlacedBand = { x: [], low: [], high: [] }
  for (const { step, low, high } of range) {
    const x = placeStep(axis, series[0] ?? {}, step)
    if (x === null || !Number.isFinite(low) || !Number.isFinite(high)) continue
    band.x.push(x)
    band.low.push(low)
    band.high.push(high)
  }
  return band
}

/** The x range of a window; null where no series has a place on the axis, and what data there is is shown. */
export function windowPlaces(
  window: StepWindow | null,
  series: readonly CurveSeries[],
  axis: XAxis,
): [number, number] | null {
  if (window === null) return null
  const ends = series.flatMap((one) => {
    const low = placeNear(axis, one, window.from)
    const high = placeNear(axis, one, window.to)
    return low === null || high === null ? [] : [[low, high] as const]
  })
  if (ends.length === 0) return null
  return [Math.min(...ends.map(([low]) => low)), Math.max(...ends.map(([, high]) => high))]
}
