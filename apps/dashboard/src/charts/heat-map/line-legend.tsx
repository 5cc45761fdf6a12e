import { formatNumber, formatWhole } from '../curves/format-number.ts'
import { palette } from '../curves/palette.ts'
import classes from './heat-map.module.css'
import { type Line, unshown } from './profile.ts'
import { useAppliedScheme } from './use-applied-scheme.ts'

/** Lines by name with the value at the cursor, and how many values no line can show. */
export function LineLegend({
  lines,
  at,
  positiveOnly,
  notes = [],
}: {
  lines: readonly Line[]
  /** Index into the values; null for no cursor. */
  at: number | null
  positiveOnly: boolean
  /** By line: what else to say of it; null for nothing. */
  notes?: readonly (string | null)[]
}) {
  const scheme = useAppliedScheme()
  return (
    <div className={`${classes.note} ${classes.legend}`}>
      {lines.map((line, index) => {
        const { colour, dash } = palette.style(line.key, scheme)
        const value = at === null ? undefined : line.values[at]
        return (
          <span key={line.key} className={classes.entry}>
            <svg width="18" height="10" aria-hidden="true">
              <line x2="18" y1="5" y2="5" stroke={colour} strokeWidth="2" strokeDasharray={dash.join(' ')} />
            </svg>
            {line.label}
            {value !== undefined && <span className={classes.value}>{formatNumber(value)}</span>}
            {[...unshownTexts(line, positiveOnly), ...(notes[index] ? [notes[index]] : [])].map((text) => (
              <span key={text}>({text})</span>
            ))}
          </span>
        )
      })}
    </div>
  )
}

function unshownTexts(line: Line, positiveOnly: boolean): string[] {
  const { missing, nonFinite, nonPositive } = unshown(line, positiveOnly)
  return [
    ...(nonFinite > 0 ? [`▲ ${formatWhole(nonFinite)} not finite`] : []),
    ...(nonPositive > 0 ? [`▼ ${formatWhole(nonPositive)} zero or less`] : []),
    ...(missing > 0 ? [`${formatWhole(missing)} missing`] : []),
  ]
}
