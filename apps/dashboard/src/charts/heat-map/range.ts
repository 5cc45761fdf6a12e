import { CELL, cellKind, type Grid } from './grid.ts'

/** Finite; low <= high. */
export interface ValueRange {
  low: number
  high: number
}

/** Sorting more takes longer than a frame; a regular sample of this many has its quantiles within a fraction of 1 %. */
const MOST = 50_000

/** The share cut off at each end by a robust range. */
export const ROBUST_SHARE = 0.01

/** Finite values, at most about 50,000, taken evenly: the same cells at every call. */
export function sampleValues(grid: Grid, positiveOnly: boolean): Float64Array {
  const { bins, values } = grid
  let stride = Math.max(1, Math.ceil(values.length / MOST))
  // A stride that shares a factor with the bins would see some noise levels only.
  while (stride > 1 && commonFactor(stride, bins) > 1) stride++
  const found: number[] = []
  for (let index = 0; index < values.length; index += stride) {
    if (cellKind(grid, index, positiveOnly) === CELL.value) found.push(values[index] ?? 0)
  }
  return Float64Array.from(found)
}

/**
 * What the colours have to span; null without a value that has a place on the scale.
 * @param robust leaves out a hundredth at each end, so that one spike does not make all else dark
 */
export function valueRange(
  grid: Grid,
  { positiveOnly = false, robust = false }: { positiveOnly?: boolean; robust?: boolean } = {},
): ValueRange | null {
  if (robust) {
    const sorted = sampleValues(grid, positiveOnly).sort()
    const last = sorted.length - 1
    if (last < 0) return null
    const at = (share: number) => sorted[Math.round(share * last)] ?? 0
    return { low: at(ROBUST_SHARE), high: at(1 - ROBUST_SHARE) }
  }
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (let index = 0; index < grid.values.length; index++) {
    if (cellKind(grid, index, positiveOnly) !== CELL.value) continue
    const value = grid.values[index] ?? 0
    low = Math.min(low, value)
    high = Math.max(high, value)
  }
  return low <= high ? { low, high } : null
}

function commonFactor(a: number, b: number): number {
  return b === 0 ? a : commonFactor(b, a % b)
}
