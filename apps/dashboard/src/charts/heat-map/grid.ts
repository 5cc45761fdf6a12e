import { nearestIndex } from '../curves/readout.ts'
import type { ArrayRow } from './types.ts'

/** What a cell holds. `nonPositive` depends on the colour scale and is never stored, see `cellKind`. */
export const CELL = { value: 0, missing: 1, nonFinite: 2, nonPositive: 3 } as const
export type CellKind = (typeof CELL)[keyof typeof CELL]

/** A statistic by training step and bin of t, dense. Cell (column, bin) stands at column * bins + bin. */
export interface Grid {
  /** Ascending, each once: the columns. */
  steps: readonly number[]
  /** Of equal width over t in 0..1; bin 0 at the data. */
  bins: number
  /** NaN where missing, and where that or an infinity was logged: `kinds` tells them apart. */
  values: Float64Array
  kinds: Uint8Array
}

/** As many bins as the longest row; a shorter one is missing the rest. A step logged again replaces the former. */
export function toGrid(rows: readonly ArrayRow[]): Grid {
  const byStep = new Map<number, ArrayRow['values']>()
  let bins = 0
  for (const { step, values } of rows) {
    byStep.set(step, values)
    bins = Math.max(bins, values.length)
  }
  const steps = [...byStep.keys()].sort((a, b) => a - b)
  const grid = emptyGrid(steps, bins)
  for (const [column, step] of steps.entries()) {
    for (const [bin, value] of (byStep.get(step) ?? []).entries()) {
      if (value !== null) setCell(grid, column * bins + bin, Number(value))
    }
  }
  return grid
}

function emptyGrid(steps: readonly number[], bins: number): Grid {
  const cells = steps.length * bins
  const values = new Float64Array(cells).fill(Number.NaN)
  return { steps, bins, values, kinds: new Uint8Array(cells).fill(CELL.missing) }
}

function setCell(grid: Grid, index: number, value: number): void {
  grid.values[index] = value
  grid.kinds[index] = Number.isFinite(value) ? CELL.value : CELL.nonFinite
}

/** @param positiveOnly on a logarithmic scale, where zero and less have no place */
export function cellKind({ kinds, values }: Grid, index: number, positiveOnly: boolean): CellKind {
  const kind = (kinds[index] ?? CELL.missing) as CellKind
  return positiveOnly && kind === CELL.value && (values[index] ?? 0) <= 0 ? CELL.nonPositive : kind
}

/** As the wire has it: "NaN" and the infinities by name, null for missing. */
export function cellValue(
  { kinds, values, bins }: Grid,
  column: number,
  bin: number,
): number | string | null {
  const index = column * bins + bin
  const value = values[index]
  if (bin < 0 || bin >= bins || value === undefined || kinds[index] === CELL.missing) return null
  return Number.isFinite(value) ? value : String(value)
}

/** Cells of each kind, in the order of `CELL`. */
export function countKinds(grid: Grid, positiveOnly: boolean): [number, number, number, number] {
  const counts: [number, number, number, number] = [0, 0, 0, 0]
  for (let index = 0; index < grid.values.length; index++) counts[cellKind(grid, index, positiveOnly)]++
  return counts
}

/** The column nearest to a step, null outside the logged steps: nothing is extrapolated. */
export function columnNear({ steps }: Pick<Grid, 'steps'>, step: number): number | null {
  const [first, last] = [steps[0], steps.at(-1)]
  if (first === undefined || last === undefined || step < first || step > last) return null
  return nearestIndex(steps, step)
}

/**
 * a - b at a's steps, each against b's nearest row; where b has none (before its first, after its last) all is missing.
 * Non-finite in either is non-finite, also against a missing cell. Null where the bins differ in number: a cell of one
 * is then no cell of the other, and means cannot be split.
 */
export function difference(a: Grid, b: Grid): Grid | null {
  const { bins } = a
  if (bins !== b.bins && a.steps.length > 0 && b.steps.length > 0) return null
  const result = emptyGrid(a.steps, bins)
  for (const [column, step] of a.steps.entries()) {
    const other = columnNear(b, step)
    if (other === null) continue
    for (let bin = 0; bin < bins; bin++) {
      const [at, from] = [column * bins + bin, other * bins + bin]
      const kinds = [a.kinds[at], b.kinds[from]]
      if (kinds.includes(CELL.nonFinite)) setCell(result, at, Number.NaN)
      else if (!kinds.includes(CELL.missing)) setCell(result, at, (a.values[at] ?? 0) - (b.values[from] ?? 0))
    }
  }
  return result
}

/** "0.48–0.50": the noise levels of a bin, with as many digits as bins ask for. */
export function binText(bin: number, bins: number): string {
  const digits = Math.max(2, Math.ceil(Math.log10(Math.max(bins, 1)) - 1e-9))
  return `${(bin / bins).toFixed(digits)}–${((bin + 1) / bins).toFixed(digits)}`
}
