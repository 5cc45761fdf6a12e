import { smooth } from './smoothing.ts'
import type { Bucket, CurveSeries, XAxis } from './types.ts'
import { placeStep } from './x-axis.ts'

/** A series with places on the x axis, ascending; one entry a bucket in every array. Values are not transformed yet. */
export interface Curve {
  key: string
  x: number[]
  step: number[]
  attempt: number[]
  /** The last value of each bucket; null where that is not finite. */
  last: (number | null)[]
  /** Of the finite values of each bucket; null where there is none. */
  low: (number | null)[]
  high: (number | null)[]
  /** null: not smoothed. */
  smooth: (number | null)[] | null
  /** Buckets that have no place on this x axis, as before the first known time: left out, and said so. */
  unplaced: number
}

const finite = (value: Bucket['last']): number | null =>
  typeof value === 'number' && Number.isFinite(value) ? value : null

/** Two steps within one second keep a point each; a microsecond is what a double still tells apart in Unix time. */
const APART = 1e-6

/** @param halfLife of the smoothing, in steps; 0 for none */
export function toCurve(series: CurveSeries, axis: XAxis, halfLife: number): Curve {
  const { buckets } = series.points
  const last = buckets.map((bucket) => finite(bucket.last))
  const smoothed =
    halfLife > 0
      ? smooth(
          buckets.map(({ step }) => step),
          last,
          buckets.map(({ epoch }) => epoch),
          halfLife,
        )
      : null
  const placed = buckets.flatMap((bucket, index) => {
    const x = placeStep(axis, series, bucket.step)
    return x === null ? [] : [{ x, bucket, index }]
  })
  // By steps they are sorted; by time they may not be, see attempts.ts.
  placed.sort((a, b) => a.x - b.x)
  let before = Number.NEGATIVE_INFINITY
  const x = placed.map((point) => {
    before = point.x > before ? point.x : before + APART
    return before
  })
  return {
    key: series.key,
    x,
    step: placed.map(({ bucket }) => bucket.step),
    attempt: placed.map(({ bucket }) => bucket.epoch),
    last: placed.map(({ index }) => last[index] ?? null),
    low: placed.map(({ bucket }) => finite(bucket.min)),
    high: placed.map(({ bucket }) => finite(bucket.max)),
    smooth: smoothed && placed.map(({ index }) => smoothed[index] ?? null),
    unplaced: buckets.length - placed.length,
  }
}

/** All values that the y axis has to hold. */
export function* valuesOf(curves: readonly Curve[]): Generator<number | null> {
  for (const curve of curves) {
    yield* curve.last
    yield* curve.low
    yield* curve.high
  }
}
