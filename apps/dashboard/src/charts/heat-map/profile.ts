import { cellValue, columnNear, type Grid } from './grid.ts'

/** A statistic that is drawn as one line. */
export interface Statistic {
  /** Identity: a key has the same colour in every chart. */
  key: string
  label: string
  grid: Grid
}

/** Grids are compared by identity: callers keep them where nothing changed. */
export const sameStatistics = (a: readonly Statistic[], b: readonly Statistic[]): boolean =>
  a.length === b.length &&
  a.every(({ key, label, grid }, index) => {
    const other = b[index]
    return key === other?.key && label === other.label && grid === other.grid
  })

/** One line's values, as the wire has them: non-finite by name, null for missing. */
export interface Line {
  key: string
  label: string
  /** undefined where the line has no point at this x, since others have bins of another width: it goes on there. */
  values: (number | string | null | undefined)[]
}

/** Lines over one ascending x. */
export interface Lines {
  x: number[]
  lines: Line[]
}

export interface Profile extends Lines {
  /** The step that each line was logged at, the nearest to the one asked for; null beyond its first and last. */
  steps: (number | null)[]
}

const centre = (bin: number, bins: number): number => (bin + 0.5) / bins

/** The statistics over t at one step; x is the middle of each bin, 0 at the data. */
export function profileAt(statistics: readonly Statistic[], step: number): Profile {
  const found = statistics.map(({ grid }) => columnNear(grid, step))
  const present = statistics.filter((_, index) => found[index] !== null)
  const places = new Set(present.flatMap(({ grid: { bins } }) => centres(bins)))
  const x = [...places].sort((a, b) => a - b)
  const lines = statistics.map(({ key, label, grid }, index): Line => {
    const column = found[index] ?? null
    const binAt = new Map(centres(grid.bins).map((place, bin) => [place, bin]))
    const values = x.map((place) => {
      const bin = binAt.get(place)
      return column === null || bin === undefined ? undefined : cellValue(grid, column, bin)
    })
    return { key, label, values }
  })
  return {
    x,
    lines,
    steps: statistics.map(({ grid }, index) => {
      const column = found[index] ?? null
      return column === null ? null : (grid.steps[column] ?? null)
    }),
  }
}

const centres = (bins: number): number[] => Array.from({ length: bins }, (_, bin) => centre(bin, bins))

/** One bin over the steps: a row of the heat map. */
export function rowCurve({ key, label, grid }: Statistic, bin: number): Lines {
  return {
    x: [...grid.steps],
    lines: [{ key, label, values: grid.steps.map((_, column) => cellValue(grid, column, bin)) }],
  }
}

/** Values of a line that no line can show, by what they are. */
export function unshown(
  { values }: Line,
  positiveOnly: boolean,
): {
  missing: number
  nonFinite: number
  nonPositive: number
} {
  const counts = { missing: 0, nonFinite: 0, nonPositive: 0 }
  for (const value of values) {
    if (value === null) counts.missing++
    else if (typeof value === 'string') counts.nonFinite++
    else if (positiveOnly && value !== undefined && value <= 0) counts.nonPositive++
  }
  return counts
}
