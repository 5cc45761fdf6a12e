import { Group, Text, UnstyledButton } from '@mantine/core'
import classes from './curves.module.css'
import type { ChartStatus } from './types.ts'
import { type StepWindow, windowText } from './window.ts'

/** Name, how much of the data is drawn, and why what is drawn may not be all or not be new. */
export function ChartHeader({
  title,
  place,
  points,
  notes,
  window,
  status,
  onReset,
}: {
  title: string
  /** Where the cursor is, null without one. It shares a line: coming and going, it must not move the plot. */
  place: string | null
  /** "1,200 of 84,000 points" */
  points: string
  notes: readonly string[]
  window: StepWindow | null
  status: ChartStatus
  onReset: () => void
}) {
  return (
    <>
      <Group justify="space-between" gap="xs" wrap="nowrap">
        <Text component="figcaption" size="sm" fw={600} truncate title={title}>
          {title}
        </Text>
        <Text span className={classes.note} style={{ whiteSpace: 'nowrap' }}>
          {place !== null && <strong>{place} · </strong>}
          {points}
        </Text>
      </Group>
      <div className={`${classes.note} ${classes.notes}`}>
        {notes.join(' · ')}
        {notes.length > 0 && window !== null && ' · '}
        {window !== null && (
          <>
            paused while zoomed to {windowText(window)}{' '}
            <UnstyledButton fz="xs" td="underline" onClick={onReset}>
              Show everything
            </UnstyledButton>
          </>
        )}
      </div>
      {(status.kind === 'error' || status.kind === 'partial') && (
        <div
          className={`${classes.note} ${status.kind === 'error' ? classes.warning : ''}`}
          role={status.kind === 'error' ? 'alert' : 'status'}
        >
          {status.message}
        </div>
      )}
    </>
  )
}

/** What stands in the plot's place while there is nothing to plot. */
export function nothingText(status: ChartStatus, window: StepWindow | null): string {
  switch (status.kind) {
    case 'loading':
      return 'Loading'
    case 'error':
      return 'No data: it could not be read'
    case 'partial':
    case 'ready':
      return window === null ? 'No point yet' : `No point in ${windowText(window)}`
  }
}
