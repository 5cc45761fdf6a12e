import { nearestIndex } from '../curves/readout.ts'
import type { StepWindow } from '../curves/window.ts'

/** Where each column begins and ends on the step axis. */
export interface ColumnEdges {
  left: Float64Array
  right: Float64Array
  /** Gaps without a column, see `HOLE`. */
  holes: number
}

/** A gap this many times as wide as both gaps beside it is a hole: rows were not logged, rather than logged rarely. */
const HOLE = 3

/**
 * Columns meet half-way between their steps, however uneven these are. At a hole they end where they would without it,
 * so that no column covers steps that it knows nothing of. A lone column is one step wide.
 */
export function columnEdges(steps: readonly number[]): ColumnEdges {
  const count = steps.length
  const left = new Float64Array(count)
  const right = new Float64Array(count)
  const gap = (index: number): number | undefined => {
    const [from, to] = [steps[index], steps[index + 1]]
    return from === undefined || to === undefined ? undefined : to - from
  }
  let holes = 0
  for (let index = 0; index < count; index++) {
    const [before, after] = [gap(index - 1), gap(index)]
    const isHole = (at: number) => {
      const beside = Math.max(
        gap(at - 1) ?? Number.POSITIVE_INFINITY,
        gap(at + 1) ?? Number.POSITIVE_INFINITY,
      )
      return (gap(at) ?? 0) > HOLE * beside
    }
    const reachLeft = before === undefined || isHole(index - 1) ? after : before
    const reachRight = after === undefined || isHole(index) ? before : after
    if (isHole(index)) holes++
    const step = steps[index] ?? 0
    left[index] = step - (reachLeft ?? 1) / 2
    right[index] = step + (reachRight ?? 1) / 2
  }
  return { left, right, holes }
}

/** Steps from the left to the right end of the plot; not whole numbers. */
export interface Domain {
  from: number
  to: number
}

/** A window that begins (ends) at the first (last) step shows all of that column, not only its inner half. */
export function domainOf(
  steps: readonly number[],
  { left, right }: ColumnEdges,
  window: StepWindow | null,
): Domain {
  const [first, last] = [steps[0] ?? 0, steps.at(-1) ?? 0]
  const whole = { from: left[0] ?? 0, to: right[right.length - 1] ?? 1 }
  if (window === null || window.to < whole.from || window.from > whole.to) return whole
  const from = window.from <= first ? whole.from : window.from
  const to = window.to >= last ? whole.to : window.to
  return to > from ? { from, to } : { from: from - 0.5, to: to + 0.5 }
}

/** The column that a step lies in; null in a hole and beyond the ends. */
export function columnAt(
  steps: readonly number[],
  { left, right }: ColumnEdges,
  step: number,
): number | null {
  const column = nearestIndex(steps, step)
  const covered = step >= (left[column] ?? Number.NaN) && step <= (right[column] ?? Number.NaN)
  return covered ? column : null
}

/** Whether any part of a column is in view. */
export const inDomain = ({ left, right }: ColumnEdges, { from, to }: Domain, column: number): boolean =>
  (right[column] ?? Number.NaN) > from && (left[column] ?? Number.NaN) < to

/** Moved by some steps at the same width, as far as the ends. */
export function panned(window: StepWindow | null, extent: StepWindow, by: number): StepWindow | null {
  if (window === null) return null
  const whole = Math.round(by)
  const shift = Math.min(Math.max(whole, extent.from - window.from), extent.to - window.to)
  return { from: window.from + shift, to: window.to + shift }
}

/** The window, moved just as far as it takes to show a step. */
export function revealing(window: StepWindow | null, step: number): StepWindow | null {
  if (window === null || (step >= window.from && step <= window.to)) return window
  const shift = step < window.from ? step - window.from : step - window.to
  return { from: window.from + shift, to: window.to + shift }
}
