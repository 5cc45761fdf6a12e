import { Text } from '@mantine/core'
import { useId, useMemo } from 'react'
import { formatWhole } from '../curves/format-number.ts'
import { palette } from '../curves/palette.ts'
import { useStable } from '../curves/use-stable.ts'
import classes from './heat-map.module.css'
import { leadAreas, leadAt, leadGaps, leadSpans, leadText } from './lead.ts'
import { LeadTable } from './lead-table.tsx'
import { type Statistic, sameStatistics } from './profile.ts'
import { counted } from './readout.ts'
import { useAppliedScheme } from './use-applied-scheme.ts'

/** The palette is made for thin lines; whole areas of it glare. */
const OPACITY = 0.8
/** A name narrower than this share of the width has no room. */
const NAMED_FROM = 0.15

/** Which loss term has the largest say at each noise level: shares of the effective weights, stacked over t. */
export function LeadChart({
  terms: given,
  step,
  title = 'Who leads where',
  height = 120,
}: {
  /** Effective weights by t, all with the same bins; from the bottom up. Keep each grid by useMemo. */
  terms: readonly Statistic[]
  /** Each term's row nearest to it is taken; null for no step chosen. */
  step: number | null
  title?: string
  /** CSS pixels of the areas. */
  height?: number
}) {
  const terms = useStable(given, sameStatistics)
  const scheme = useAppliedScheme()
  const hatch = useId()
  const lead = useMemo(() => (step === null ? null : leadAt(terms, step)), [terms, step])
  const spans = useMemo(() => (lead === null ? [] : leadSpans(lead)), [lead])
  const areas = useMemo(() => (lead === null ? [] : leadAreas(lead)), [lead])
  const without = lead?.reasons.filter((reason) => reason !== null).length ?? 0
  return (
    <figure className={classes.figure} aria-label={`${title}: ${leadText(spans)}`}>
      <Text component="figcaption" size="sm" fw={600}>
        {title}
      </Text>
      <div className={classes.note}>
        Shares of the effective weights by t{step === null ? '' : ` at step ${formatWhole(step)}`}, and who
        leads.
      </div>
      {lead === null ? (
        <div className={`${classes.empty} ${classes.note}`} style={{ height }}>
          {step === null
            ? 'Pick a step in the heat map'
            : 'No shares: a term has no row at this step, or other bins than the rest'}
        </div>
      ) : (
        <>
          <svg
            className={classes.areas}
            style={{ height }}
            viewBox="0 0 1 1"
            preserveAspectRatio="none"
            role="img"
            aria-label={leadText(spans)}
          >
            <pattern id={hatch} width="0.02" height="0.1" patternUnits="userSpaceOnUse">
              <path
                d="M0 0.1 0.02 0"
                className={classes.hatch}
                fill="none"
                strokeWidth="1"
                vectorEffect="non-scaling-stroke"
              />
            </pattern>
            <path d={leadGaps(lead)} fill={`url(#${hatch})`} />
            {lead.terms.map(({ key }, index) => (
              <path
                key={key}
                d={areas[index]}
                fill={palette.style(key, scheme).colour}
                fillOpacity={OPACITY}
                stroke="var(--mantine-color-body)"
                strokeWidth="1"
                vectorEffect="non-scaling-stroke"
              />
            ))}
          </svg>
          <div className={`${classes.note} ${classes.leaders}`} aria-hidden="true">
            {spans
              .filter(({ from, to }) => to - from >= NAMED_FROM)
              .map(({ from, to, label }) => (
                <span
                  key={from}
                  className={classes.leader}
                  style={{ left: `${from * 100}%`, width: `${(to - from) * 100}%` }}
                >
                  {label}
                </span>
              ))}
          </div>
          <div className={`${classes.note} ${classes.legend}`}>
            {lead.terms.map(({ key, label }) => (
              <span key={key} className={classes.entry}>
                <svg width="14" height="14" aria-hidden="true">
                  <rect
                    width="14"
                    height="14"
                    fill={palette.style(key, scheme).colour}
                    fillOpacity={OPACITY}
                  />
                </svg>
                {label}
              </span>
            ))}
            <span className={classes.entry}>t = 0 data at the left, t = 1 noise at the right</span>
            {without > 0 && (
              <span className={classes.entry}>hatched: {counted(without, 'bin')} without shares</span>
            )}
          </div>
          <LeadTable lead={lead} title={title} />
        </>
      )}
    </figure>
  )
}
