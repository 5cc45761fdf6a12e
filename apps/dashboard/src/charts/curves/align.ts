/** null: a gap, the line ends. undefined: only another series has this x, the line goes on. */
export type Column = (number | null | undefined)[]

/** Where a curve's buckets, and the breaks between its attempts, stand among the x of all curves; both ascending. */
export interface Slots {
  /** Row of each slot. */
  row: number[]
  /** Bucket of each slot; -1 for a break. */
  bucket: number[]
}

/** Rows over the whole width: more than a screen has pixels, so a shared row moves a point by less than half of one. */
const ROWS = 4096

/**
 * How close two x may be to share a row. Runs of other lengths have other buckets, and 20 of them would make 24,000
 * rows of 80 columns, nearly all empty. At most half the least distance within one list, so that neither a value nor a
 * break in the middle of two loses its row.
 */
export function tolerance(lists: readonly (readonly number[])[]): number {
  if (lists.filter((list) => list.length > 0).length < 2) return 0
  let low = Number.POSITIVE_INFINITY
  let high = Number.NEGATIVE_INFINITY
  let apart = Number.POSITIVE_INFINITY
  for (const list of lists) {
    for (let index = 0; index < list.length; index++) {
      const x = list[index] ?? 0
      low = Math.min(low, x)
      high = Math.max(high, x)
      if (index > 0) apart = Math.min(apart, x - (list[index - 1] ?? 0))
    }
  }
  return Math.max(0, Math.min((high - low) / ROWS, apart / 2))
}

/** The x of the rows, ascending: each the least of those less than `within` above it, which share it. */
export function union(lists: readonly (readonly number[])[], within = 0): number[] {
  const filled = lists.filter((list) => list.length > 0)
  const [only] = filled
  if (only && filled.length === 1) return [...only]
  const rows: number[] = []
  let open = Number.NEGATIVE_INFINITY
  const all = new Float64Array(filled.reduce((sum, { length }) => sum + length, 0))
  let length = 0
  for (const list of filled) {
    all.set(list, length)
    length += list.length
  }
  all.sort()
  for (let index = 0; index < all.length; index++) {
    const x = all[index] ?? 0
    if (x === open || x - open < within) continue
    rows.push(x)
    open = x
  }
  return rows
}

/**
 * @param x of the rows, as `union` makes them
 * @param own places of the buckets
 * @param breaks each between two of `own`
 */
export function slotsOf(x: readonly number[], own: readonly number[], breaks: readonly number[]): Slots {
  const slots: Slots = { row: [], bucket: [] }
  let row = 0
  let cut = 0
  const put = (place: number, bucket: number) => {
    while (row + 1 < x.length && (x[row + 1] ?? 0) <= place) row++
    slots.row.push(row)
    slots.bucket.push(bucket)
  }
  for (let bucket = 0; bucket < own.length; bucket++) {
    const place = own[bucket] ?? 0
    while (cut < breaks.length && (breaks[cut] ?? 0) < place) put(breaks[cut++] ?? 0, -1)
    put(place, bucket)
  }
  return slots
}

/**
 * Spreads values over the rows. A gap is widened to its neighbours' rows: uPlot ends a gap at the nearest x of any
 * series, and would draw stumps of the line up to there.
 */
export function alignColumn(rows: number, { row, bucket }: Slots, values: Column): Column {
  const column: Column = new Array<undefined>(rows).fill(undefined)
  for (let slot = 0; slot < row.length; slot++) {
    const value = valueAt(bucket, values, slot)
    const at = row[slot] ?? 0
    column[at] = value
    if (value !== null) continue
    const after = row[slot - 1] ?? -1
    const before = row[slot + 1] ?? rows
    for (let near = after + 1; near < before; near++) column[near] = null
  }
  return column
}

/** null at a break and outside; an array is slow when asked for its index -1. */
function valueAt(bucket: readonly number[], values: Column, slot: number): number | null {
  if (slot < 0 || slot >= bucket.length) return null
  const index = bucket[slot] ?? -1
  return index < 0 ? null : (values[index] ?? null)
}

/** Rows of values with a gap, or nothing, on both sides: no line shows them. */
export function isolatedRows({ row, bucket }: Slots, values: Column): number[] {
  const found: number[] = []
  for (let slot = 0; slot < row.length; slot++) {
    const alone = valueAt(bucket, values, slot - 1) === null && valueAt(bucket, values, slot + 1) === null
    if (alone && valueAt(bucket, values, slot) !== null) found.push(row[slot] ?? 0)
  }
  return found
}
