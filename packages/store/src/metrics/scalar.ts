import type { Scalar } from '@limbeck/contracts'

/** The wire's "NaN", "Infinity", "-Infinity" as a number. */
export const numberOf = (value: Scalar): number => Number(value)

/** JSON has no non-finite numbers. */
export const scalarOf = (value: number): Scalar =>
  Number.isFinite(value) ? value : (String(value) as Exclude<Scalar, number>)
