import { formatWhole } from './format-number.ts'
import type { Points } from './types.ts'

/** The steps in view, both ends included; null in place of it means the whole series, followed live. */
export interface StepWindow {
  from: number
  to: number
}

/** The largest step that the server takes. */
const LARGEST = 1_000_000_000

/** Reads `from-to` out of the URL. Anything else, a reversed or too large range too, is the fallback. */
export function parseWindow(
  text: string | null | undefined,
  fallback: StepWindow | null = null,
): StepWindow | null {
  const match = /^(\d{1,10})-(\d{1,10})$/.exec(text ?? '')
  if (!match) return fallback
  const window = { from: Number(match[1]), to: Number(match[2]) }
  return window.from > window.to || window.to > LARGEST ? fallback : window
}

/** The URL's text; undefined for the whole series, so that the parameter is left out. Inverse: `parseWindow`. */
export const printWindow = (window: StepWindow | null): string | undefined =>
  window === null ? undefined : `${window.from}-${window.to}`

/** Whole steps inside the extent; null if that leaves nothing or everything. */
export function clampWindow(window: StepWindow, extent: StepWindow): StepWindow | null {
  const from = Math.max(Math.floor(Math.min(window.from, window.to)), extent.from)
  const to = Math.min(Math.ceil(Math.max(window.from, window.to)), extent.to)
  if (!(from <= to) || (from <= extent.from && to >= extent.to)) return null
  return { from, to }
}

/** Zooms around a step, which keeps its place on the screen. @param factor of the width: 0.5 zooms in, 2 out */
export function zoomAround(
  window: StepWindow | null,
  extent: StepWindow,
  centre: number,
  factor: number,
): StepWindow | null {
  const { from, to } = window ?? extent
  const at = Math.min(Math.max(centre, from), to)
  const next = { from: at - (at - from) * factor, to: at + (to - at) * factor }
  // A window narrower than two steps shows nothing that its neighbours do not.
  return next.to - next.from < 1 ? window : clampWindow(next, extent)
}

/** "1,200 of 84,000 points" over all series: what is drawn, and what is behind it. */
export function pointsText(series: readonly Pick<Points, 'buckets' | 'total_points'>[]): string {
  const shown = series.reduce((sum, { buckets }) => sum + buckets.length, 0)
  const total = series.reduce((sum, { total_points }) => sum + total_points, 0)
  return `${formatWhole(shown)} of ${formatWhole(total)} ${total === 1 ? 'point' : 'points'}`
}

export const windowText = ({ from, to }: StepWindow): string =>
  `steps ${formatWhole(from)} to ${formatWhole(to)}`
