/** Rows beyond each edge, so that a quick scroll shows pictures at once. */
const OVERSCAN = 3

/**
 * Which rows of equal height a scrolled view needs: [from, to).
 * @param top how far it is scrolled, and `height`, `rowHeight`: CSS pixels
 */
export function rowWindow(
  top: number,
  height: number,
  rowHeight: number,
  count: number,
): { from: number; to: number } {
  const first = Math.floor(Math.max(0, top) / rowHeight) - OVERSCAN
  const last = Math.ceil((Math.max(0, top) + height) / rowHeight) + OVERSCAN
  const from = Math.min(Math.max(0, first), Math.max(0, count - 1))
  return { from, to: Math.max(Math.min(count, last), Math.min(count, from + 1)) }
}

/** Where to scroll so that a row is wholly in view; the same number where it is. `head` covers the top. */
export function scrollToRow(
  top: number,
  height: number,
  rowHeight: number,
  row: number,
  head: number,
): number {
  const room = height - head
  if (row * rowHeight < top) return row * rowHeight
  if ((row + 1) * rowHeight > top + room) return (row + 1) * rowHeight - room
  return top
}
