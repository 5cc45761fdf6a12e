import { Table } from '@mantine/core'
import classes from './evaluations.module.css'
import type { Measure, ScorePoint } from './score-points.ts'
import { WideTable } from './wide-table.tsx'

/** The numbers behind the chart. */
export function ScoreValues({
  points,
  measure,
  xLabel,
  xText,
}: {
  points: readonly ScorePoint[]
  measure: Measure
  xLabel: string
  xText: (x: number) => string
}) {
  return (
    <details>
      <summary>Values</summary>
      <WideTable minWidth={420} maxHeight={320} label="Values of the chart">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{xLabel}</Table.Th>
            <Table.Th>{measure.label}, 95 %</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {points.map((point) => (
            <Table.Tr key={point.id}>
              <Table.Td className={classes.figure}>{xText(point.x)}</Table.Td>
              <Table.Td>{point.label}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </WideTable>
    </details>
  )
}
