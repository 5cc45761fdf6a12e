import { formatCount, formatWhole } from './format-number.ts'

/**
 * Debiased exponential moving average: at each step the mean of all values so far in the attempt, each weighted by
 * 2^(-distance / halfLife), distance in steps. Dividing by the sum of the weights is what removes the bias of the
 * start, and takes uneven spacing into account. A value that is not finite stays a gap, and neither ends nor poisons
 * the average. It starts anew where the attempt changes: a resumed run is another process.
 *
 * @param halfLife in steps; 0 or less smooths nothing
 */
export function smooth(
  steps: readonly number[],
  values: readonly (number | null)[],
  attempts: readonly number[],
  halfLife: number,
): (number | null)[] {
  if (!(halfLife > 0)) return [...values]
  const result: (number | null)[] = []
  let sum = 0
  let weight = 0
  let before = 0
  let attempt: number | undefined
  for (const [index, value] of values.entries()) {
    const step = steps[index] ?? 0
    if (attempts[index] !== attempt) {
      attempt = attempts[index]
      sum = 0
      weight = 0
    }
    if (value === null || !Number.isFinite(value)) {
      result.push(null)
      continue
    }
    const decay = weight === 0 ? 0 : 2 ** (-(step - before) / halfLife)
    sum = sum * decay + value
    weight = weight * decay + 1
    before = step
    result.push(sum / weight)
  }
  return result
}

/** Says where the smoothing happens: a bucket is smoothed as one value, however many points are behind it. */
export const smoothingLabel = (halfLife: number): string =>
  halfLife > 0
    ? `half-life ${halfLife < 10_000 ? formatWhole(halfLife) : formatCount(halfLife)} ${halfLife === 1 ? 'step' : 'steps'}, after bucketing`
    : 'not smoothed'
