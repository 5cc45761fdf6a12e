import { VisuallyHidden } from '@mantine/core'
import { memo } from 'react'
import { formatNumber, formatWhole } from './format-number.ts'
import type { ChartModel } from './model.ts'
import type { ChartMark, CurveSeries } from './types.ts'

/** Events read out before the rest is only counted. */
const MOST = 50

/** The last values as a table, for those who do not see the lines. */
export const ValuesTable = memo(function ValuesTable({
  title,
  series,
  model,
  marks,
}: {
  title: string
  series: readonly CurveSeries[]
  model: ChartModel
  marks: readonly ChartMark[]
}) {
  return (
    <VisuallyHidden>
      <table>
        <caption>{title}: last values</caption>
        <thead>
          <tr>
            <th scope="col">Series</th>
            <th scope="col">Step</th>
            <th scope="col">Last</th>
            <th scope="col">Points</th>
            <th scope="col">Not finite</th>
          </tr>
        </thead>
        <tbody>
          {series.map(({ key, label, points }, index) => {
            const last = points.buckets.at(-1)
            return (
              <tr key={key}>
                <th scope="row">{label}</th>
                <td>{last ? formatWhole(last.step) : '–'}</td>
                <td>{formatNumber(last?.last ?? null)}</td>
                <td>{formatWhole(points.total_points)}</td>
                <td>{formatWhole(model.nonFinite[index]?.count ?? 0)}</td>
              </tr>
            )
          })}
        </tbody>
      </table>
      {marks.length > 0 && (
        <ul aria-label="Events">
          {marks.slice(0, MOST).map(({ step, label }) => (
            <li key={`${step} ${label}`}>
              step {formatWhole(step)}: {label}
            </li>
          ))}
          {marks.length > MOST && <li>{formatWhole(marks.length - MOST)} more</li>}
        </ul>
      )}
    </VisuallyHidden>
  )
})
