import type { ArrayPoints } from '@limbeck/contracts'
import type { z } from 'zod'
import { formatNumber, formatWhole } from './format-number.ts'
import { nearestBy } from './readout.ts'

/** The counts (or shares) of one step, bin by bin from the lowest. */
export interface HistogramRow {
  step: number
  /** Shares of 1 in each bin; null where the row holds a value that is not finite, or nothing at all. */
  shares: readonly number[] | null
}

/** Bins of equal width over [low, high]; outliers are in the end bins. */
export interface BinRange {
  low: number
  high: number
}

/** A row with a value that is not finite or negative has no shape: it stays in the list, and is shown as such. */
export function histogramRows({ rows }: Pick<z.infer<typeof ArrayPoints>, 'rows'>): HistogramRow[] {
  return rows.map(({ step, values }) => {
    // A bin that was not logged holds nothing.
    const counts = values.map((value) => (value === null ? 0 : value))
    const numbers = counts.filter(
      (value): value is number => typeof value === 'number' && Number.isFinite(value) && value >= 0,
    )
    const total = numbers.reduce((sum, value) => sum + value, 0)
    const valid = numbers.length === counts.length && total > 0
    return { step, shares: valid ? numbers.map((value) => value / total) : null }
  })
}

/** The value below which a share `q` of the row lies, bins taken as evenly filled. @param q 0 to 1 */
export function quantile(shares: readonly number[], { low, high }: BinRange, q: number): number {
  const width = (high - low) / shares.length
  let below = 0
  for (const [bin, share] of shares.entries()) {
    if (share > 0 && below + share >= q - 1e-12) {
      return low + (bin + Math.min(Math.max((q - below) / share, 0), 1)) * width
    }
    below += share
  }
  return high
}

/**
 * What two histograms have in common, 0 to 1: the sum of the smaller shares. At 1 a discriminator tells nothing apart,
 * at 0 it tells everything apart and its gradient is of no more use.
 */
export function overlap(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, share, bin) => sum + Math.min(share, b[bin] ?? 0), 0)
}

/** A column of the picture: one step, both classes. */
export interface HistogramColumn {
  step: number
  real: readonly number[] | null
  fake: readonly number[] | null
}

/** Rows of both classes by step; a step that only one class has keeps its place. */
export function pairRows(real: readonly HistogramRow[], fake: readonly HistogramRow[]): HistogramColumn[] {
  const byStep = new Map<number, HistogramColumn>()
  for (const { step, shares } of real) byStep.set(step, { step, real: shares, fake: null })
  for (const { step, shares } of fake) {
    byStep.set(step, { step, real: byStep.get(step)?.real ?? null, fake: shares })
  }
  return [...byStep.values()].sort((a, b) => a.step - b.step)
}

/** The column nearest to a step; null without columns. */
export const columnAt = (columns: readonly HistogramColumn[], step: number): HistogramColumn | null =>
  columns[nearestBy(columns, (column) => column.step, step)] ?? null

/** "step 1,200: overlap 0.42, median real 1.3, fake -0.8" */
export function columnText({ step, real, fake }: HistogramColumn, range: BinRange): string {
  const median = (name: string, shares: readonly number[] | null) =>
    `${name} ${shares ? formatNumber(quantile(shares, range, 0.5), 3) : 'not finite or missing'}`
  return [
    `step ${formatWhole(step)}: ${real && fake ? `overlap ${formatNumber(overlap(real, fake), 2)}` : 'no overlap known'}`,
    `median ${median('real', real)}`,
    median('fake', fake),
  ].join(', ')
}
