import classes from './evaluations.module.css'
import { type Interval, placeOn } from './numbers.ts'

const percent = (share: number): string => `${100 * share}%`

/** A value with its interval on a common axis; its numbers stand beside it as text. */
export function IntervalPlot({
  value,
  interval,
  axis,
  reference = null,
}: {
  value: number
  interval: Interval
  axis: Interval
  /** A line to compare with: the baseline's value, or no difference. */
  reference?: number | null
}) {
  const from = placeOn(interval[0], axis)
  return (
    <span className={classes.plot} aria-hidden="true">
      <span
        className={classes.range}
        style={{ left: percent(from), width: percent(placeOn(interval[1], axis) - from) }}
      />
      {reference !== null && (
        <span className={classes.reference} style={{ left: percent(placeOn(reference, axis)) }} />
      )}
      <span className={classes.point} style={{ left: percent(placeOn(value, axis)) }} />
    </span>
  )
}
