import { ActionIcon, Group, UnstyledButton } from '@mantine/core'
import { formatWhole } from '../curves/format-number.ts'
import { type StepWindow, windowText } from '../curves/window.ts'
import type { Grid } from './grid.ts'
import classes from './heat-map.module.css'
import type { PlacedMark } from './marks.ts'
import { cellText, type GridPlace } from './readout.ts'

/** What is under the pointer, and the window's buttons: what wheel and keys do, for a single finger. */
export function ReadoutBar({
  title,
  grid,
  placed,
  place,
  cursor,
  window,
  onReset,
  onZoomIn,
  onZoomOut,
}: {
  title: string
  grid: Grid
  placed: readonly PlacedMark[]
  place: GridPlace | null
  cursor: number | null
  window: StepWindow | null
  onReset: () => void
  onZoomIn: () => void
  onZoomOut: () => void
}) {
  const text =
    place !== null
      ? cellText(grid, place, placed)
      : cursor !== null
        ? `step ${formatWhole(cursor)}`
        : 'Point at a cell or use arrow keys'
  return (
    <div className={`${classes.note} ${classes.readout}`}>
      <span className={classes.text} title={text}>
        {text}
      </span>
      <Group gap={6} wrap="nowrap">
        {window !== null && (
          <UnstyledButton fz="xs" td="underline" mih={24} onClick={onReset}>
            {windowText(window)}: show everything
          </UnstyledButton>
        )}
        <ActionIcon
          variant="default"
          size={24}
          aria-label={`Zoom into ${title}`}
          title="Zoom in (+)"
          onClick={onZoomIn}
        >
          +
        </ActionIcon>
        <ActionIcon
          variant="default"
          size={24}
          aria-label={`Zoom out of ${title}`}
          title={window === null ? 'All steps are in view' : 'Zoom out (-)'}
          disabled={window === null}
          onClick={onZoomOut}
        >
          −
        </ActionIcon>
      </Group>
    </div>
  )
}
