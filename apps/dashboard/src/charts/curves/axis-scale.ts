import { formatNumber, formatTick, superscript } from './format-number.ts'
import { linearTicks, logTicks, symlogTicks } from './ticks.ts'

export const SCALE_KINDS = ['linear', 'log2', 'log10', 'symlog'] as const
export type ScaleKind = (typeof SCALE_KINDS)[number]

/** Values are transformed before uPlot sees them: its own scale is always linear, over positions. */
export interface AxisScale {
  kind: ScaleKind
  /** The position of a value; null where it has none: not finite, or not above zero on a log scale. */
  forward(value: number): number | null
  /** The value at a position. */
  inverse(position: number): number
  /** Values inside [low, high], ascending. */
  ticks(low: number, high: number, most: number): number[]
  /** A tick's text. @param gap distance to the next tick, as a value */
  format(value: number, gap: number): string
  /** Symlog only: below this absolute value the scale is about linear. */
  threshold: number | null
}

const finite = (position: number): number | null => (Number.isFinite(position) ? position : null)

const LINEAR: AxisScale = {
  kind: 'linear',
  forward: finite,
  inverse: (position) => position,
  ticks: linearTicks,
  format: formatTick,
  threshold: null,
}

/** "2¹⁶"; null for other numbers. */
function powerOfTwo(value: number): string | null {
  const exponent = Math.log2(value)
  const whole = Math.round(exponent)
  return Math.abs(exponent - whole) < 1e-9 ? `2${superscript(whole)}` : null
}

/** A value on its own, not beside other ticks. */
export const formatValue = (kind: ScaleKind, value: number | string | null): string =>
  (kind === 'log2' && typeof value === 'number' ? powerOfTwo(value) : null) ?? formatNumber(value)

/** For loss scales, 1 to 2^24: ticks are powers of two, written as such. */
const LOG2: AxisScale = {
  kind: 'log2',
  forward: (value) => (value > 0 ? finite(Math.log2(value)) : null),
  inverse: (position) => 2 ** position,
  ticks: (low, high, most) => logTicks(low, high, most, 2),
  format: (value, gap) => powerOfTwo(value) ?? formatTick(value, gap),
  threshold: null,
}

const LOG10: AxisScale = {
  kind: 'log10',
  forward: (value) => (value > 0 ? finite(Math.log10(value)) : null),
  inverse: (position) => 10 ** position,
  ticks: (low, high, most) => logTicks(low, high, most, 10),
  format: (value, gap) => (gap < value ? formatTick(value, gap) : formatNumber(value)),
  threshold: null,
}

/** Decades that a symlog axis shows at most on each side: with more, all of the data sits at the rim. */
const DECADES = 6

/**
 * Where symlog becomes linear: the power of ten at or below the 5th percentile of the absolute values, zeros left out,
 * and at most 6 decades below the largest. Powers of ten, so that it rarely moves while a run goes on.
 */
export function linearThreshold(values: Iterable<number | null | undefined>): number {
  const sizes: number[] = []
  for (const value of values) {
    if (typeof value === 'number' && value !== 0 && Number.isFinite(value)) sizes.push(Math.abs(value))
  }
  if (sizes.length === 0) return 1
  const sorted = Float64Array.from(sizes).sort()
  const low = sorted[Math.floor(sorted.length * 0.05)] ?? 1
  const high = sorted.at(-1) ?? 1
  const exponent = Math.max(Math.floor(Math.log10(low) + 1e-9), Math.ceil(Math.log10(high)) - DECADES)
  return Number(`1e${Math.max(exponent, -300)}`)
}

function symlog(threshold: number): AxisScale {
  return {
    kind: 'symlog',
    // log1p keeps the digits of values far below the threshold.
    forward: (value) => finite((Math.sign(value) * Math.log1p(Math.abs(value) / threshold)) / Math.LN10),
    inverse: (position) => Math.sign(position) * Math.expm1(Math.abs(position) * Math.LN10) * threshold,
    ticks: (low, high, most) => symlogTicks(low, high, most, threshold),
    format: (value, gap) =>
      gap < Math.abs(value) || value === 0 ? formatTick(value, gap) : formatNumber(value),
    threshold,
  }
}

/** @param values what is to be shown; read by symlog only, for its linear threshold */
export function axisScale(kind: ScaleKind, values: Iterable<number | null | undefined> = []): AxisScale {
  switch (kind) {
    case 'linear':
      return LINEAR
    case 'log2':
      return LOG2
    case 'log10':
      return LOG10
    case 'symlog':
      return symlog(linearThreshold(values))
  }
}

/** Positions with room around them: 5 % a side, and never an empty range. Without data: 0 to 1. */
export function padded(scale: AxisScale, low: number | null, high: number | null): [number, number] {
  if (low === null || high === null || !Number.isFinite(low) || !Number.isFinite(high)) return [0, 1]
  const width = high - low
  const room = width > 0 ? width * 0.05 : scale.kind === 'linear' ? Math.abs(low) * 0.1 || 1 : 0.5
  // A loss that comes near zero is not drawn as if it could fall below.
  const bottom = scale.kind === 'linear' && low >= 0 ? Math.max(0, low - room) : low - room
  return [bottom, high + room]
}
