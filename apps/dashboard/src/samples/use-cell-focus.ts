import { type KeyboardEvent, type RefObject, useLayoutEffect, useRef, useState } from 'react'
import { scrollToRow } from './row-window.ts'
import { type Cell, movedCell } from './zoom.ts'

/**
 * One cell of a grid that can be tabbed to, moved by arrows. A row that is out of view is drawn first, then scrolled
 * to and focused. Cells carry `data-column`, their rows `data-row`.
 */
export function useCellFocus(
  scroller: RefObject<HTMLElement | null>,
  head: RefObject<HTMLElement | null>,
  rowHeight: number,
  rows: number,
  columns: number,
) {
  const [chosen, setActive] = useState<Cell>({ row: 0, column: 0 })
  const active = { row: Math.min(chosen.row, rows - 1), column: Math.min(chosen.column, columns - 1) }
  const moved = useRef(false)

  useLayoutEffect(() => {
    const element = scroller.current
    if (!moved.current || element === null) return
    moved.current = false
    const above = head.current?.offsetHeight ?? 0
    element.scrollTop = scrollToRow(element.scrollTop, element.clientHeight, rowHeight, active.row, above)
    const cell = element.querySelector<HTMLElement>(
      `[data-row="${active.row}"] [data-column="${active.column}"]`,
    )
    cell?.focus({ preventScroll: true })
    cell?.scrollIntoView({ block: 'nearest', inline: 'nearest' })
  })

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 0) / rowHeight) - 1)
    const to = movedCell(event.key, active, rows, columns, page)
    if (to === null) return
    event.preventDefault()
    moved.current = true
    setActive(to)
  }
  return { active, setActive, onKeyDown }
}
