import { type Sheet, type SheetTile, tileKey } from './sheet.ts'

/** One question over all columns. */
export interface SampleRow {
  key: string
  prompt: string
  tag: string
  heldOut: boolean
  repeat: number
  /** Place of the tile in each column's sheet; null where that sheet has no picture of it. */
  places: readonly (number | null)[]
}

/**
 * Lines sheets up by prompt id and repeat, the noise's key, and never by place alone. The order is that of the first
 * sheet; what only later ones have follows. The same id with another prompt is another question and a row of its own.
 */
export function alignedRows(sheets: readonly (Sheet | null)[]): SampleRow[] {
  const rows = new Map<string, { tile: SheetTile; key: string; places: (number | null)[] }>()
  const prompts = new Map<string, number>()
  for (const [column, sheet] of sheets.entries()) {
    for (const [place, tile] of (sheet?.tiles ?? []).entries()) {
      const id = `${tileKey(tile)}\n${tile.prompt}`
      let row = rows.get(id)
      if (row === undefined) {
        const before = prompts.get(tileKey(tile)) ?? 0
        prompts.set(tileKey(tile), before + 1)
        const key = before === 0 ? tileKey(tile) : `${tileKey(tile)}.${before + 1}`
        row = { tile, key, places: sheets.map(() => null) }
        rows.set(id, row)
      }
      row.places[column] = place
    }
  }
  return [...rows.values()].map(({ tile, key, places }) => ({
    key,
    prompt: tile.prompt,
    tag: tile.tag,
    heldOut: tile.held_out,
    repeat: tile.repeat,
    places,
  }))
}

/** Said above a column whose sheet asks other questions than most rows do; null where it has them all. */
export function differenceText(rows: readonly SampleRow[], column: number): string | null {
  const missing = rows.filter(({ places }) => places[column] === null).length
  if (missing === 0) return null
  return missing === rows.length
    ? 'has none of these prompts'
    : `differs in prompts: ${missing} of ${rows.length} rows have no picture here`
}

/** The choice beside the tags: prompts on combinations that no training sample held. */
export const HELD_OUT = 'held out'

/** @param text part of the prompt, in any case */
export function filteredRows(rows: readonly SampleRow[], text: string, tag: string | undefined): SampleRow[] {
  const wanted = text.trim().toLowerCase()
  return rows.filter(
    (row) =>
      (wanted === '' || row.prompt.toLowerCase().includes(wanted)) &&
      (tag === undefined || (tag === HELD_OUT ? row.heldOut : row.tag === tag)),
  )
}

/** Tags to choose from, in the order of the rows. */
export const tagsOf = (rows: readonly SampleRow[]): string[] => [
  ...new Set(rows.map(({ tag }) => tag)),
  ...(rows.some(({ heldOut }) => heldOut) ? [HELD_OUT] : []),
]
