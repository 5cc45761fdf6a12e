import { Group, Kbd, Modal, Text } from '@mantine/core'
import { useViewportSize } from '@mantine/hooks'
import type { KeyboardEvent } from 'react'
import type { SampleRow } from './alignment.ts'
import classes from './samples.module.css'
import { tileText, wholeEdge } from './sheet.ts'
import { TilePicture } from './tile-picture.tsx'
import type { LoadedColumn } from './use-sample-grid.ts'
import { VerdictMark } from './verdict-mark.tsx'
import { type Cell, movedCell } from './zoom.ts'

/** CSS pixels that an enlarged picture may take, and what the dialogue takes beside it. */
const LARGEST = 420
const AROUND = 72

/** A picture with its pixels as squares, the teacher's of the same prompt and noise beside it. */
export function SamplesZoom({
  rows,
  columns,
  cell,
  onMove,
  onClose,
}: {
  rows: readonly SampleRow[]
  columns: readonly LoadedColumn[]
  cell: Cell | null
  onMove: (cell: Cell) => void
  onClose: () => void
}) {
  const row = cell === null ? undefined : rows[cell.row]
  const column = cell === null ? undefined : columns[cell.column]
  const teacher = columns.findIndex(({ role }) => role === 'teacher')
  const press = (event: KeyboardEvent) => {
    if (cell === null || event.ctrlKey || event.metaKey || event.altKey) return
    const to = movedCell(event.key, cell, rows.length, columns.length, 1)
    if (to === null) return
    event.preventDefault()
    onMove(to)
  }
  return (
    <Modal
      opened={row !== undefined && column !== undefined}
      onClose={onClose}
      title={row?.prompt ?? ''}
      size="auto"
      transitionProps={{ duration: 0 }}
      closeButtonProps={{ 'aria-label': 'Close the enlarged picture' }}
      onKeyDown={press}
    >
      {row !== undefined && column !== undefined && cell !== null && (
        <>
          <Group align="start" gap="md" aria-live="polite">
            <Enlarged row={row} column={column} index={cell.column} />
            {teacher >= 0 && teacher !== cell.column && columns[teacher] !== undefined && (
              <Enlarged row={row} column={columns[teacher]} index={teacher} />
            )}
          </Group>
          <Text className={classes.note} mt="sm">
            {row.tag}
            {row.heldOut && ', held out'} · sample {row.repeat} · <Kbd size="xs">←</Kbd>{' '}
            <Kbd size="xs">→</Kbd> evaluation, <Kbd size="xs">↑</Kbd> <Kbd size="xs">↓</Kbd> prompt,{' '}
            <Kbd size="xs">Esc</Kbd> close
          </Text>
        </>
      )}
    </Modal>
  )
}

function Enlarged({ row, column, index }: { row: SampleRow; column: LoadedColumn; index: number }) {
  const { width } = useViewportSize()
  const place = row.places[index] ?? null
  const tile = place === null ? undefined : column.loaded?.sheet.tiles[place]
  return (
    <figure className={classes.figure}>
      {column.loaded === null || place === null || tile === undefined ? (
        <Text className={classes.note} w={160}>
          {column.problem ?? (column.loading ? 'The sheet is loading.' : 'This sheet has no such picture.')}
        </Text>
      ) : (
        <TilePicture
          loaded={column.loaded}
          place={place}
          width={wholeEdge(column.loaded.sheet.tile[0], Math.min(LARGEST, Math.max(96, width - AROUND)))}
          label={`${column.title}: ${tileText(tile)}`}
        />
      )}
      <figcaption>
        <Text size="sm" fw={600}>
          {tile !== undefined && <VerdictMark correct={tile.correct} />} {column.title}
        </Text>
        {tile !== undefined && (
          <Text size="sm" maw={LARGEST} style={{ whiteSpace: 'pre-line' }}>
            {tile.correct ? 'correct' : `wrong: ${tile.reason}`}
          </Text>
        )}
      </figcaption>
    </figure>
  )
}
