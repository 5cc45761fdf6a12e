/** Text for people: durations, byte sizes, tables. */

export function duration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return '?'
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`
  const minutes = Math.floor(seconds / 60)
  return minutes < 60
    ? `${minutes} min ${Math.round(seconds % 60)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

export function bytes(size: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  const power = size < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(size) / 3))
  return `${(size / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`
}

/** With its sign; what rounds to zero is "+0". */
export function signed(value: number, digits: number): string {
  const text = value.toFixed(digits).replace(/^-(0\.?0*)$/, '$1')
  return text.startsWith('-') ? text : `+${text}`
}

export type Cell = string | number | null

/** Columns padded to their widest cell; numbers, and `numeric` columns of text, to the right; null as "-". */
export function table(header: string[], rows: Cell[][], numeric: readonly string[] = []): string {
  const text = (cell: Cell): string => (cell === null ? '-' : String(cell))
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => text(row[column] ?? null).length)),
  )
  const right = header.map(
    (title, column) => numeric.includes(title) || rows.some((row) => typeof row[column] === 'number'),
  )
  const line = (cells: string[]) =>
    cells
      .map((cell, column) =>
        right[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd()
  return [
    line(header),
    line(widths.map((width) => '-'.repeat(width))),
    ...rows.map((row) => line(header.map((_title, column) => text(row[column] ?? null)))),
  ].join('\n')
}
