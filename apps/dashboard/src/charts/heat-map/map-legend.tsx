import { MARK_COLOURS } from './colour.ts'
import classes from './heat-map.module.css'
import { MarkLegend } from './mark-track.tsx'
import type { PlacedMark } from './marks.ts'
import { type Counts, counted } from './readout.ts'

/** Cells that have no colour of the map, counted, and the shapes of the events. Only what occurs. */
export function MapLegend({
  counts: [, missing, nonFinite, nonPositive],
  holes,
  placed,
  robust,
}: {
  counts: Counts
  /** Gaps between columns. */
  holes: number
  placed: readonly PlacedMark[]
  robust: boolean
}) {
  return (
    <>
      <div className={`${classes.note} ${classes.legend}`}>
        {nonFinite > 0 && (
          <span className={classes.entry}>
            <svg width="14" height="14" aria-hidden="true" className={classes.swatch}>
              <rect width="14" height="14" fill={MARK_COLOURS.nonFinite} />
              <path d="M4 4 10 10M10 4 4 10" stroke="#000000" />
            </svg>
            not finite ({counted(nonFinite, 'cell')})
          </span>
        )}
        {nonPositive > 0 && (
          <span className={classes.entry}>
            <svg width="14" height="14" aria-hidden="true" className={classes.swatch}>
              <rect width="14" height="14" fill={MARK_COLOURS.nonPositive} />
            </svg>
            zero or less, not on a log scale ({counted(nonPositive, 'cell')})
          </span>
        )}
        {(missing > 0 || holes > 0) && (
          <span className={classes.entry}>
            <svg width="14" height="14" aria-hidden="true" className={classes.swatch}>
              <path d="M0 7 7 0M0 14 14 0M7 14 14 7" stroke="currentColor" strokeOpacity="0.6" />
            </svg>
            missing ({counted(missing, 'cell')}
            {holes > 0 && `, ${counted(holes, 'gap')} without rows`})
          </span>
        )}
        {robust && <span className={classes.entry}>colours end at the 1st and 99th percentile</span>}
      </div>
      {placed.length > 0 && (
        <div className={`${classes.note} ${classes.legend}`}>
          <span className={classes.entry}>Events:</span>
          <MarkLegend placed={placed} />
        </div>
      )}
    </>
  )
}
