import { Text, UnstyledButton } from '@mantine/core'
import classes from './curves.module.css'
import { formatWhole } from './format-number.ts'
import type { LineStyle } from './palette.ts'

export interface LegendEntry {
  key: string
  label: string
  style: LineStyle
  /** At the cursor, else the last one. */
  value: string
  /** The same with its range and the points behind it. */
  detail: string
  /** Points of the series that are not finite. */
  nonFinite: number
  shown: boolean
}

/** The series with their values; a click hides or shows one. A single series has nothing to hide, and room for more. */
export function Legend({
  entries,
  expected,
  onToggle,
}: {
  entries: readonly LegendEntry[]
  /** Name of the expected band, null without one. */
  expected: string | null
  onToggle: (key: string) => void
}) {
  return (
    <ul className={classes.legend} aria-label="Legend">
      {entries.map((entry) => (
        <li key={entry.key}>
          {entries.length === 1 ? (
            <span className={classes.entry}>
              <Body entry={entry} value={entry.detail} />
            </span>
          ) : (
            <UnstyledButton
              className={classes.entry}
              aria-pressed={entry.shown}
              title={`${entry.detail}; click to ${entry.shown ? 'hide' : 'show'}`}
              onClick={() => onToggle(entry.key)}
            >
              <Body entry={entry} value={entry.value} />
            </UnstyledButton>
          )}
        </li>
      ))}
      {expected !== null && (
        <li className={`${classes.entry} ${classes.note}`}>
          <svg width="18" height="10" aria-hidden="true">
            <rect x="0" y="1" width="18" height="8" fill="currentColor" fillOpacity="0.25" />
          </svg>
          expected: {expected}
        </li>
      )}
    </ul>
  )
}

function Body({ entry: { label, style, nonFinite, shown }, value }: { entry: LegendEntry; value: string }) {
  return (
    <>
      <svg width="18" height="10" aria-hidden="true">
        <line
          x1="0"
          x2="18"
          y1="5"
          y2="5"
          stroke={style.colour}
          strokeWidth="2"
          strokeOpacity={shown ? 1 : 0.4}
          strokeDasharray={style.dash.join(' ')}
        />
      </svg>
      {label}
      <span className={classes.value}>{value}</span>
      {nonFinite > 0 && (
        <Text span inherit className={classes.warning}>
          {formatWhole(nonFinite)} not finite
        </Text>
      )}
    </>
  )
}
