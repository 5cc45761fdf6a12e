/** Rows to draw in order, with the gaps between them: a table keeps its height by empty rows. */
export type RowSegment = { kind: 'row'; index: number } | { kind: 'gap'; rows: number; before: number }

/**
 * @param shown the window [from, to)
 * @param kept a row that stays wherever the view is scrolled to: it holds the focus
 */
export function rowSegments(shown: { from: number; to: number }, kept: number, count: number): RowSegment[] {
  const indices = Array.from({ length: Math.max(0, shown.to - shown.from) }, (_, n) => shown.from + n)
  if (kept >= 0 && kept < count && !indices.includes(kept)) indices.push(kept)
  indices.sort((a, b) => a - b)
  const segments: RowSegment[] = []
  let next = 0
  for (const index of indices) {
    if (index > next) segments.push({ kind: 'gap', rows: index - next, before: index })
    segments.push({ kind: 'row', index })
    next = index + 1
  }
  if (count > next) segments.push({ kind: 'gap', rows: count - next, before: count })
  return segments
}
