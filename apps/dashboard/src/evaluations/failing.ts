import type { Sheet, SheetTile } from '../samples/sheet.ts'
import { REASON_KINDS, type ReasonKind, reasonKinds } from './reasons.ts'

export interface TileFilter {
  /** Part of prompt or reason, in any case. */
  text: string
  tag: string | null
  kind: ReasonKind | null
  /** Correct ones too. */
  correct: boolean
}

export interface PlacedTile {
  place: number
  tile: SheetTile
}

/** A task of the benchmark; held-out prompts of a tag are a task of their own, as they are scored apart. */
export interface TaskTiles {
  tag: string
  heldOut: boolean
  /** Of all its pictures, whatever is filtered. */
  images: number
  failed: number
  tiles: PlacedTile[]
}

/** Pictures by task, in the sheet's order; a task without a picture that fits is left out. */
export function tilesByTask({ tiles }: Sheet, { text, tag, kind, correct }: TileFilter): TaskTiles[] {
  const wanted = text.trim().toLowerCase()
  const fits = (tile: SheetTile): boolean =>
    (correct || !tile.correct) &&
    (tag === null || tile.tag === tag) &&
    (kind === null || reasonKinds(tile.reason).includes(kind)) &&
    (wanted === '' ||
      tile.prompt.toLowerCase().includes(wanted) ||
      tile.reason.toLowerCase().includes(wanted))
  const tasks = new Map<string, TaskTiles>()
  for (const [place, tile] of tiles.entries()) {
    const key = `${tile.held_out} ${tile.tag}`
    const task = tasks.get(key) ?? { tag: tile.tag, heldOut: tile.held_out, images: 0, failed: 0, tiles: [] }
    tasks.set(key, task)
    task.images++
    if (!tile.correct) task.failed++
    if (fits(tile)) task.tiles.push({ place, tile })
  }
  return [...tasks.values()].filter(({ tiles }) => tiles.length > 0)
}

/** How many pictures fail by each kind; one can fail by several. Kinds that do not occur are left out. */
export function countKinds({ tiles }: Sheet, tag: string | null): [ReasonKind, number][] {
  const counts = new Map<ReasonKind, number>()
  for (const tile of tiles)
    if (tag === null || tile.tag === tag)
      for (const kind of reasonKinds(tile.reason)) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  return REASON_KINDS.flatMap((kind): [ReasonKind, number][] => {
    const count = counts.get(kind)
    return count === undefined ? [] : [[kind, count]]
  })
}

/** The first `limit` pictures over all tasks. */
export function limited(tasks: readonly TaskTiles[], limit: number): TaskTiles[] {
  let left = limit
  return tasks.flatMap((task) => {
    const tiles = task.tiles.slice(0, Math.max(0, left))
    left -= tiles.length
    return tiles.length === 0 ? [] : [{ ...task, tiles }]
  })
}
