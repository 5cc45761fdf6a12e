import { Table } from '@mantine/core'
import type { ReactNode } from 'react'

/** A table that scrolls sideways where it does not fit, by keys too: it may hold nothing that takes the focus. */
export function WideTable({
  minWidth,
  maxHeight,
  label,
  children,
}: {
  /** CSS pixels. */
  minWidth: number
  maxHeight?: number
  label: string
  children: ReactNode
}) {
  return (
    <Table.ScrollContainer
      minWidth={minWidth}
      {...(maxHeight === undefined ? {} : { maxHeight })}
      scrollAreaProps={{ viewportProps: { tabIndex: 0, role: 'region', 'aria-label': label } }}
    >
      <Table verticalSpacing={6}>{children}</Table>
    </Table.ScrollContainer>
  )
}
