import { formatNumber, formatWhole } from './format-number.ts'
import type { Bucket, ChartMark, Points } from './types.ts'

/** Index of the item nearest to `at`; -1 in an empty list. @param place of an item, ascending along the list */
export function nearestBy<T>(sorted: readonly T[], place: (item: T) => number, at: number): number {
  const away = (index: number) => {
    const item = sorted[index]
    return item === undefined ? Number.POSITIVE_INFINITY : Math.abs(place(item) - at)
  }
  let low = 0
  let high = sorted.length - 1
  while (high - low > 1) {
    const middle = (low + high) >> 1
    const item = sorted[middle]
    if (item !== undefined && place(item) <= at) low = middle
    else high = middle
  }
  return high >= 0 && away(high) < away(low) ? high : Math.min(low, high)
}

/** Index of the number nearest to `at`; -1 in an empty list. @param sorted ascending */
export const nearestIndex = (sorted: readonly number[], at: number): number =>
  nearestBy(sorted, (value) => value, at)

/**
 * The bucket nearest to a step. Beyond either end only as far as the buckets there are apart: a run that ended at step
 * 40,000 has no value at 80,000.
 */
export function bucketAt({ buckets }: Pick<Points, 'buckets'>, step: number): Bucket | null {
  const index = nearestBy(buckets, (bucket) => bucket.step, step)
  const bucket = buckets[index]
  if (!bucket) return null
  const inner = index === 0 ? buckets[1] : index === buckets.length - 1 ? buckets[index - 1] : undefined
  const outside = index === 0 ? step < bucket.step : index === buckets.length - 1 && step > bucket.step
  const reach = inner ? Math.abs(inner.step - bucket.step) : 0
  return (outside || buckets.length === 1) && Math.abs(step - bucket.step) > reach ? null : bucket
}

/** "0.5131 (0.49 to 0.55, 70 points, 3 not finite)"; what one point adds nothing to is left out. */
export function bucketText(
  { last, min, max, count, non_finite }: Bucket,
  format: (value: Bucket['last']) => string = formatNumber,
): string {
  if (count === 1) return format(last)
  const rest = [
    ...(min === max ? [] : [`${format(min)} to ${format(max)}`]),
    `${formatWhole(count)} points`,
    ...(non_finite > 0 ? [`${formatWhole(non_finite)} not finite`] : []),
  ]
  return `${format(last)} (${rest.join(', ')})`
}

/** "loss/task, 84,000 points, last 0.5131": a figure's name for those who do not see it. */
export function figureLabel(title: string, series: readonly { label: string; points: Points }[]): string {
  const total = series.reduce((sum, { points }) => sum + points.total_points, 0)
  const last = series.map(({ label, points }) => {
    const value = formatNumber(points.buckets.at(-1)?.last ?? null)
    return series.length === 1 ? `last ${value}` : `${label} last ${value}`
  })
  return [title, `${formatWhole(total)} ${total === 1 ? 'point' : 'points'}`, ...last].join(', ')
}

/**
 * The last event at the cursor: of those closer to its bucket than to the buckets beside it, since the cursor only
 * stops at buckets.
 * @param steps of all buckets, ascending
 */
export function markAt(
  marks: readonly ChartMark[],
  steps: readonly number[],
  cursor: number,
): ChartMark | null {
  const index = nearestIndex(steps, cursor)
  const at = steps[index]
  if (at === undefined) return null
  const after = ((steps[index - 1] ?? Number.NEGATIVE_INFINITY) + at) / 2
  const until = ((steps[index + 1] ?? Number.POSITIVE_INFINITY) + at) / 2
  return marks.findLast(({ step }) => step > after && step <= until) ?? null
}
