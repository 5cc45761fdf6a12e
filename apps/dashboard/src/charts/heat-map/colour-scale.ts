import { axisScale } from '../curves/axis-scale.ts'
import type { Grid } from './grid.ts'
import { sampleValues, type ValueRange, valueRange } from './range.ts'

export const COLOUR_SCALES = ['logarithmic', 'linear', 'symlog'] as const
export type ColourScaleKind = (typeof COLOUR_SCALES)[number]

export interface ColourTick {
  /** 0 to 1 along the colour bar. */
  place: number
  text: string
}

/** Where a value stands between the ends of a colour map. */
export interface ColourScale {
  kind: ColourScaleKind
  /** null: no value has a place on the scale. */
  range: ValueRange | null
  /** 0 to 1. Beyond the range it is the end's; in a range of one value the middle. */
  place(value: number): number
  /** Ascending, in the range. @param most a wish, exceeded by a few at most */
  ticks(most: number): ColourTick[]
}

/**
 * @param range null for none; on a logarithmic scale of positive values
 * @param sample read by symlog only, for the threshold below which it is linear
 */
export function colourScale(
  kind: ColourScaleKind,
  range: ValueRange | null,
  sample: Iterable<number> = [],
): ColourScale {
  const axis = axisScale(kind === 'logarithmic' ? 'log10' : kind, sample)
  const low = range === null ? null : axis.forward(range.low)
  const high = range === null ? null : axis.forward(range.high)
  if (range === null || low === null || high === null) {
    return { kind, range: null, place: () => 0.5, ticks: () => [] }
  }
  const width = high - low
  const place = (value: number): number => {
    if (!(width > 0)) return 0.5
    const position = axis.forward(value)
    if (position === null) return value > 0 ? 1 : 0
    return Math.min(1, Math.max(0, (position - low) / width))
  }
  const ticks = (most: number): ColourTick[] => {
    const inside = width > 0 ? axis.ticks(range.low, range.high, most) : []
    const values = inside.length > 1 ? inside : width > 0 ? [range.low, range.high] : [range.low]
    return values.map((value, index) => {
      const gap = Math.abs((values[index + 1] ?? values[index - 1] ?? value) - value)
      return { place: place(value), text: axis.format(value, gap) }
    })
  }
  return { kind, range, place, ticks }
}

/** The scale of a grid's own values. @param centred for differences: zero stands in the middle of the map */
export function gridScale(
  grid: Grid,
  asked: ColourScaleKind,
  { centred, robust }: { centred: boolean; robust: boolean },
): ColourScale {
  // Half of all differences are negative: a logarithmic scale would hide them.
  const kind = centred && asked === 'logarithmic' ? 'symlog' : asked
  const range = valueRange(grid, { positiveOnly: kind === 'logarithmic', robust })
  const sample = kind === 'symlog' ? sampleValues(grid, false) : []
  if (!centred || range === null) return colourScale(kind, range, sample)
  const reach = Math.max(Math.abs(range.low), Math.abs(range.high))
  return colourScale(kind, { low: -reach, high: reach }, sample)
}
