import { useRef } from 'react'
import type { ChartMark, CurveSeries, ExpectedBand } from './types.ts'

/**
 * The value of an earlier render as long as it means the same. Callers build their lists in each render, and each move
 * of the cursor is one: without this all columns were made again under the pointer.
 */
export function useStable<T>(value: T, same: (a: T, b: T) => boolean): T {
  const kept = useRef(value)
  if (!same(kept.current, value)) kept.current = value
  return kept.current
}

const sameList = <T>(a: readonly T[], b: readonly T[], same: (a: T, b: T) => boolean): boolean =>
  a === b || (a.length === b.length && a.every((one, index) => same(one, b[index] as T)))

/** The data itself is compared by identity: TanStack Query keeps it where nothing changed. */
export const sameSeries = (a: readonly CurveSeries[], b: readonly CurveSeries[]): boolean =>
  sameList(
    a,
    b,
    (one, other) =>
      one.key === other.key &&
      one.label === other.label &&
      one.points === other.points &&
      one.batchSize === other.batchSize &&
      one.processTime === other.processTime &&
      one.wallClock === other.wallClock,
  )

export const sameMarks = (a: readonly ChartMark[], b: readonly ChartMark[]): boolean =>
  sameList(
    a,
    b,
    (one, other) => one.step === other.step && one.kind === other.kind && one.label === other.label,
  )

export const sameBand = (a: ExpectedBand | null, b: ExpectedBand | null): boolean =>
  a?.label === b?.label && a?.range === b?.range
