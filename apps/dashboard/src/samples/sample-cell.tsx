import type { KeyboardEvent } from 'react'
import type { SampleRow } from './alignment.ts'
import classes from './samples.module.css'
import { tileText } from './sheet.ts'
import { TilePicture } from './tile-picture.tsx'
import type { LoadedColumn } from './use-sample-grid.ts'
import { VerdictMark } from './verdict-mark.tsx'

/** A picture of the grid, or why there is none; either can hold the focus, so that arrows pass over it. */
export function SampleCell({
  row,
  column,
  index,
  edge,
  active,
  onFocus,
  onOpen,
  onKeyDown,
}: {
  row: SampleRow
  column: LoadedColumn
  /** Of the column, from 0. */
  index: number
  /** CSS pixels. */
  edge: number
  /** Whether Tab comes here: one cell of the grid at a time. */
  active: boolean
  onFocus: () => void
  onOpen: () => void
  onKeyDown: (event: KeyboardEvent) => void
}) {
  const place = row.places[index] ?? null
  const tile = place === null ? undefined : column.loaded?.sheet.tiles[place]
  const absent = column.loading ? 'loading' : 'no picture'
  return (
    <td>
      <button
        type="button"
        className={classes.cell}
        data-column={index}
        data-correct={tile?.correct}
        tabIndex={active ? 0 : -1}
        aria-label={`${column.title}: ${tile === undefined ? `“${row.prompt}”, ${absent}` : tileText(tile)}`}
        onFocus={onFocus}
        onClick={onOpen}
        onKeyDown={onKeyDown}
      >
        {column.loaded === null || place === null || tile === undefined ? (
          <span className={classes.note}>{absent}</span>
        ) : (
          <>
            <TilePicture loaded={column.loaded} place={place} width={edge} />
            <VerdictMark correct={tile.correct} />
          </>
        )}
      </button>
    </td>
  )
}
