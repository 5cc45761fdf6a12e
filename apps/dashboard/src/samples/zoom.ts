/** A cell of the grid: row and column, from 0. */
export interface Cell {
  row: number
  column: number
}

const SEPARATOR = '~'

export const zoomText = (rowKey: string, columnKey: string): string => `${rowKey}${SEPARATOR}${columnKey}`

/** The cell that an address names; null where it is not in the grid (filtered out, or of another run). */
export function zoomedCell(
  text: string | undefined,
  rowKeys: readonly string[],
  columnKeys: readonly string[],
): Cell | null {
  if (text === undefined) return null
  const cut = text.lastIndexOf(SEPARATOR)
  const row = rowKeys.indexOf(text.slice(0, Math.max(0, cut)))
  const column = columnKeys.indexOf(text.slice(cut + 1))
  return row < 0 || column < 0 ? null : { row, column }
}

/** Where a key leads from a cell; null for keys that do not move. Stops at the edges; `page` in rows. */
export function movedCell(
  key: string,
  { row, column }: Cell,
  rows: number,
  columns: number,
  page: number,
): Cell | null {
  const within = (value: number, count: number): number => Math.max(0, Math.min(count - 1, value))
  const to = (rowBy: number, columnBy: number): Cell => ({
    row: within(row + rowBy, rows),
    column: within(column + columnBy, columns),
  })
  switch (key) {
    case 'ArrowLeft':
      return to(0, -1)
    case 'ArrowRight':
      return to(0, 1)
    case 'ArrowUp':
      return to(-1, 0)
    case 'ArrowDown':
      return to(1, 0)
    case 'PageUp':
      return to(-page, 0)
    case 'PageDown':
      return to(page, 0)
    case 'Home':
      return to(0, -columns)
    case 'End':
      return to(0, columns)
    default:
      return null
  }
}
