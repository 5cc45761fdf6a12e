import { z } from 'zod'

/** One picture of a sheet: what it was asked for, and the scorer's verdict on it. */
export const SheetTile = z.object({
  id: z.string().describe('of the prompt, "trained/colors/0003"'),
  prompt: z.string(),
  tag: z.string(),
  held_out: z.boolean(),
  repeat: z.int().min(0).describe('keys the noise together with the prompt'),
  correct: z.boolean(),
  reason: z.string().describe('a line for each rule that failed'),
})
export type SheetTile = z.infer<typeof SheetTile>

/** sheet.json beside sheet.png; tiles run row by row, in the protocol's order. */
export const Sheet = z.object({
  tile: z.tuple([z.int().min(1), z.int().min(1)]).describe('width and height in pixels'),
  columns: z.int().min(1),
  tiles: z.array(SheetTile).min(1),
})
export type Sheet = z.infer<typeof Sheet>

/** The same question in every sheet: a prompt's id, and which noise it started from. */
export const tileKey = ({ id, repeat }: SheetTile): string => `${id}.${repeat}`

/** Pixels of the picture that the index describes. */
export const sheetSize = ({ tile: [width, height], columns, tiles }: Sheet) => ({
  width: columns * width,
  height: Math.ceil(tiles.length / columns) * height,
})

/**
 * Cuts a tile out by background position. `width` in CSS pixels; all offsets are multiples of it, so that no
 * neighbour shows at an edge as it would with fractions.
 */
export function tileStyle(sheet: Sheet, place: number, width: number) {
  const [tileWidth, tileHeight] = sheet.tile
  const height = Math.round((width * tileHeight) / tileWidth)
  const x = place % sheet.columns
  const y = Math.floor(place / sheet.columns)
  const rows = Math.ceil(sheet.tiles.length / sheet.columns)
  return {
    width,
    height,
    backgroundSize: `${sheet.columns * width}px ${rows * height}px`,
    backgroundPosition: `${-x * width}px ${-y * height}px`,
    imageRendering: width > tileWidth ? ('pixelated' as const) : ('auto' as const),
  }
}

/** The widest edge up to `room` that shows each pixel of a tile as a whole square; a tile that is wider is shrunk. */
export const wholeEdge = (tileWidth: number, room: number): number =>
  room >= tileWidth ? tileWidth * Math.floor(room / tileWidth) : Math.max(1, Math.floor(room))

/**
 * Places where the sheet's verdicts are not those of the evaluation. A stage has one folder for a number of steps, so
 * two of its protocols with the same steps leave one sheet: the other evaluation's pictures are not these.
 */
export const foreignVerdicts = (sheet: Sheet, verdicts: readonly boolean[]): number =>
  sheet.tiles.filter(({ correct }, place) => correct !== verdicts[place]).length +
  Math.max(0, verdicts.length - sheet.tiles.length)

/** A tile in words, for those who do not see it. */
export function tileText({ prompt, repeat, correct, reason }: SheetTile): string {
  const verdict = correct ? 'correct' : `wrong${reason === '' ? '' : `: ${reason.replaceAll('\n', '; ')}`}`
  return `“${prompt}”, sample ${repeat}: ${verdict}`
}
