import { type CSSProperties, memo, useEffect, useRef } from 'react'
import { differenceText, type SampleRow } from './alignment.ts'
import { rowSegments } from './row-segments.ts'
import { SampleCell } from './sample-cell.tsx'
import classes from './samples.module.css'
import { useCellFocus } from './use-cell-focus.ts'
import { useRowWindow } from './use-row-window.ts'
import type { LoadedColumn } from './use-sample-grid.ts'
import type { Cell } from './zoom.ts'

/** Beside and above a picture, CSS pixels. */
const ROOM = 20

/** Prompts down, evaluations across; only the rows in view exist. Arrows move, Enter enlarges. */
export const SamplesGrid = memo(function SamplesGrid({
  rows,
  all,
  columns,
  edge,
  height,
  onOpen,
}: {
  rows: readonly SampleRow[]
  /** Rows before filtering: what a sheet lacks is counted over them. */
  all: readonly SampleRow[]
  columns: readonly LoadedColumn[]
  /** Width and height of a picture, CSS pixels. */
  edge: number
  height: number
  onOpen: (cell: Cell) => void
}) {
  const scroller = useRef<HTMLDivElement>(null)
  const head = useRef<HTMLTableSectionElement>(null)
  const rowHeight = height + ROOM
  const shown = useRowWindow(scroller, rowHeight, rows.length)
  const { active, setActive, onKeyDown } = useCellFocus(
    scroller,
    head,
    rowHeight,
    rows.length,
    columns.length,
  )
  // biome-ignore lint/correctness/useExhaustiveDependencies: another filter begins at the top
  useEffect(() => {
    scroller.current?.scrollTo({ top: 0 })
  }, [rows])

  return (
    <div ref={scroller} className={classes.scroller}>
      <table
        className={classes.table}
        aria-label="Samples: prompts down, evaluations across"
        aria-rowcount={rows.length + 1}
        style={{ '--row-height': `${rowHeight}px`, '--cell-width': `${edge + ROOM}px` } as CSSProperties}
      >
        <thead ref={head} className={classes.head}>
          <tr>
            <th scope="col" className={classes.promptHead}>
              Prompt
            </th>
            {columns.map((column, index) => (
              <th key={column.key} scope="col" className={classes.headCell}>
                {column.title}
                <HeadNote column={column} index={index} rows={all} />
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rowSegments(shown, active.row, rows.length).map((segment) => {
            if (segment.kind === 'gap')
              return (
                <tr key={`gap before ${segment.before}`}>
                  <td style={{ height: segment.rows * rowHeight, padding: 0 }} colSpan={columns.length + 1} />
                </tr>
              )
            const { index } = segment
            const row = rows[index]
            if (row === undefined) return null
            return (
              <tr key={row.key} className={classes.row} aria-rowindex={index + 2} data-row={index}>
                <th scope="row" className={classes.prompt}>
                  <div className={classes.promptText}>
                    {row.prompt}
                    <span className={`${classes.note} ${classes.headNote}`}>
                      {row.tag}
                      {row.heldOut && ', held out'} · sample {row.repeat}
                    </span>
                  </div>
                </th>
                {columns.map((column, place) => (
                  <SampleCell
                    key={column.key}
                    row={row}
                    column={column}
                    index={place}
                    edge={edge}
                    active={index === active.row && place === active.column}
                    onFocus={() => setActive({ row: index, column: place })}
                    onOpen={() => onOpen({ row: index, column: place })}
                    onKeyDown={onKeyDown}
                  />
                ))}
              </tr>
            )
          })}
        </tbody>
      </table>
    </div>
  )
})

function HeadNote({
  column,
  index,
  rows,
}: {
  column: LoadedColumn
  index: number
  rows: readonly SampleRow[]
}) {
  const problem = column.problem ?? (column.loaded === null ? null : differenceText(rows, index))
  return (
    <>
      <span className={`${classes.note} ${classes.headNote}`}>
        {column.loading ? 'loading' : `overall ${column.version.evaluation.overall.toFixed(3)}`}
      </span>
      {problem !== null && <span className={`${classes.problem} ${classes.headNote}`}>{problem}</span>}
    </>
  )
}
