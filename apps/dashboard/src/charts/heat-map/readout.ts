import { formatNumber, formatWhole } from '../curves/format-number.ts'
import { binText, cellValue, type Grid } from './grid.ts'
import { MARK_LABEL, marksIn, type PlacedMark } from './marks.ts'

/** A cell by its place in the grid. */
export interface GridPlace {
  column: number
  bin: number
}

/** "step 31,400 · t 0.48–0.50 · 0.0174 · clamped: ratio at 100"; the value by itself where it is no number. */
export function cellText(grid: Grid, { column, bin }: GridPlace, marks: readonly PlacedMark[]): string {
  const value = cellValue(grid, column, bin)
  return [
    `step ${formatWhole(grid.steps[column] ?? 0)}`,
    `t ${binText(bin, grid.bins)}`,
    value === null ? 'no value' : formatNumber(value),
    ...marksIn(marks, column, bin).map(({ kind, text }) => `${MARK_LABEL[kind]}: ${text}`),
  ].join(' · ')
}

/** What the map holds, for those who do not see it: its size, and what has no colour. */
export function mapText(
  title: string,
  { steps, bins }: Grid,
  [, missing, nonFinite, nonPositive]: Counts,
): string {
  const [first, last] = [steps[0], steps.at(-1)]
  if (first === undefined || last === undefined) return `${title}: no row yet`
  return [
    `${title}: ${counted(bins, 'noise level')} by ${counted(steps.length, 'step')}`,
    first === last ? `step ${formatWhole(first)}` : `steps ${formatWhole(first)} to ${formatWhole(last)}`,
    ...(nonFinite > 0 ? [`${counted(nonFinite, 'cell')} not finite`] : []),
    ...(nonPositive > 0 ? [`${counted(nonPositive, 'cell')} zero or less`] : []),
    ...(missing > 0 ? [`${counted(missing, 'cell')} missing`] : []),
  ].join(', ')
}

/** Cells by kind, as `countKinds` returns them. */
export type Counts = readonly [value: number, missing: number, nonFinite: number, nonPositive: number]

/** "1 cell", "28 cells" */
export const counted = (count: number, noun: string): string =>
  `${formatWhole(count)} ${noun}${count === 1 ? '' : 's'}`
