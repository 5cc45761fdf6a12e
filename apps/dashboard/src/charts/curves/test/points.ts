import type { Bucket, CurveSeries, Points } from '../types.ts'

/** A bucket of one point, unless told otherwise. */
export function bucket(step: number, last: Bucket['last'], more: Partial<Bucket> = {}): Bucket {
  const nonFinite = typeof last === 'number' ? 0 : 1
  return { step, last, min: last, max: last, count: 1, non_finite: nonFinite, epoch: 1, ...more }
}

export function points(buckets: Bucket[], name = 'loss/task'): Points {
  return {
    stage: 'stg_00000000000000000000000001' as Points['stage'],
    name,
    total_points: buckets.reduce((sum, { count }) => sum + count, 0),
    buckets,
  }
}

export const series = (buckets: Bucket[], more: Partial<CurveSeries> = {}): CurveSeries => ({
  key: 'loss/task',
  label: 'loss/task',
  points: points(buckets),
  ...more,
})
