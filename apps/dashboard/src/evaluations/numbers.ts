export type Interval = readonly [low: number, high: number]

/** Decimals of a share: a picture in a thousand. */
const DECIMALS = 3

export const shareText = (value: number): string => value.toFixed(DECIMALS)

/** "0.020 to 0.086". An interval without width says nothing about spread, and says so. */
export const intervalText = ([low, high]: Interval, text: (value: number) => string = shareText): string =>
  low === high ? `${text(low)}, no spread in the sample` : `${text(low)} to ${text(high)}`

/** With its sign, "+0.013", "−0.013", "0.000". */
export function signedText(value: number): string {
  const text = Math.abs(value).toFixed(DECIMALS)
  return Number(text) === 0 ? text : `${value < 0 ? '−' : '+'}${text}`
}

/** Four significant digits, for scores on scales of their own. */
export const scoreText = (value: number): string => Number(value.toPrecision(4)).toString()

/** "240 k", "380 M", "2.6 B". */
export function parametersText(count: number): string {
  if (count >= 1e9) return `${Number((count / 1e9).toPrecision(2))} B`
  if (count >= 1e6) return `${Number((count / 1e6).toPrecision(3))} M`
  return `${Math.round(count / 1e3)} k`
}

/**
 * A common axis of intervals: rounded outwards to steps that read well, within `limits`.
 * At least `least` wide, so that one narrow interval does not fill it.
 */
export function axisOf(intervals: readonly Interval[], limits: Interval, least = 0.05): Interval {
  if (intervals.length === 0) return limits
  let low = Math.min(...intervals.map(([value]) => value))
  let high = Math.max(...intervals.map(([, value]) => value))
  const lacking = least - (high - low)
  if (lacking > 0) {
    low -= lacking / 2
    high += lacking / 2
  }
  const step = 10 ** Math.floor(Math.log10(high - low)) / 2
  const round = (value: number): number => Number(value.toPrecision(12))
  return [
    Math.max(limits[0], round(Math.floor(low / step) * step)),
    Math.min(limits[1], round(Math.ceil(high / step) * step)),
  ]
}

/** Place on an axis, 0 to 1; outside it at its edge. */
export const placeOn = (value: number, [low, high]: Interval): number =>
  high === low ? 0.5 : Math.min(1, Math.max(0, (value - low) / (high - low)))

/** A point in time in the reader's words, to the minute. @param time RFC 3339, or milliseconds since 1970 */
export const timeText = (time: string | number): string =>
  new Date(time).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })
