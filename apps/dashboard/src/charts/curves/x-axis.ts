import { formatCount } from './format-number.ts'
import type { Clock, Placement, XAxis } from './types.ts'

export const X_AXIS_LABEL: Record<XAxis, string> = {
  step: 'step',
  images: 'images seen',
  process: 'process time',
  wall: 'wall clock',
}

/** Linear between the two pairs around `at`; null outside the pairs: nothing is extrapolated. */
export function interpolate(pairs: Clock, at: number): number | null {
  const first = pairs[0]
  const last = pairs.at(-1)
  if (!first || !last || at < first[0] || at > last[0]) return null
  let low = 0
  let high = pairs.length - 1
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if ((pairs[middle]?.[0] ?? 0) <= at) low = middle
    else high = middle
  }
  const [before, after] = [pairs[low] ?? first, pairs[high] ?? last]
  const width = after[0] - before[0]
  return width === 0 ? after[1] : before[1] + ((at - before[0]) / width) * (after[1] - before[1])
}

/** The place of a step on the axis; null where the series does not say. Inverse: `stepAt`. */
export function placeStep(axis: XAxis, source: Placement, step: number): number | null {
  switch (axis) {
    case 'step':
      return step
    case 'images':
      return source.batchSize === undefined ? null : step * source.batchSize
    case 'process':
      return interpolate(source.processTime ?? [], step)
    case 'wall':
      return interpolate(source.wallClock ?? [], step)
  }
}

/** Like `placeStep`, with a step outside the series' clock moved to its nearer end: for the edges of a window. */
export function placeNear(axis: XAxis, source: Placement, step: number): number | null {
  const clock = axis === 'process' ? source.processTime : axis === 'wall' ? source.wallClock : undefined
  const [first, last] = [clock?.[0], clock?.at(-1)]
  return placeStep(axis, source, first && last ? Math.min(Math.max(step, first[0]), last[0]) : step)
}

/** The step at a place, not rounded; a place outside the series' time is moved to its nearer end. */
export function stepAt(axis: XAxis, source: Placement, place: number): number | null {
  switch (axis) {
    case 'step':
      return place
    case 'images':
      return source.batchSize === undefined ? null : place / source.batchSize
    case 'process':
      return stepOfTime(source.processTime ?? [], place)
    case 'wall':
      return stepOfTime(source.wallClock ?? [], place)
  }
}

/** Time may run back by a little where a newer attempt wrote into an older one: pairs are put in order of time. */
function stepOfTime(clock: Clock, seconds: number): number | null {
  const swapped = clock.map(([step, time]) => [time, step] as const).sort((a, b) => a[0] - b[0])
  const [first, last] = [swapped[0], swapped.at(-1)]
  if (!first || !last) return null
  return interpolate(swapped, Math.min(Math.max(seconds, first[0]), last[0]))
}

const UNITS = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'min'],
] as const

/** Seconds as "30 s", "5 min", "2.5 h", "1.5 d". */
export function formatSeconds(seconds: number): string {
  const [size, unit] = UNITS.find(([least]) => Math.abs(seconds) >= least) ?? [1, 's']
  return `${Number((seconds / size).toFixed(2))} ${unit}`
}

const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' })

/** Ticks of one axis; the day stands below the time at its first tick only. Times are in the reader's zone. */
export function formatPlaces(axis: XAxis, places: readonly number[]): string[] {
  if (axis === 'process') return places.map(formatSeconds)
  if (axis !== 'wall') return places.map(formatCount)
  let day = ''
  return places.map((place) => {
    const date = new Date(place * 1000)
    const previous = day
    day = DAY.format(date)
    return day === previous ? CLOCK.format(date) : `${CLOCK.format(date)}\n${day}`
  })
}
