import { formatCount } from '../curves/format-number.ts'
import { linearTicks } from '../curves/ticks.ts'
import classes from './heat-map.module.css'
import type { Domain } from './view.ts'

/** Root font sizes that a label takes along its axis, with room around it. */
const STEP_LABEL = 4
const LEVEL_LABEL = 2.5

/** Noise levels from 0 (data) to 1 (noise): text, so that it grows with the page's and is found by search. */
export function LevelAxis({ height, em }: { height: number; em: number }) {
  const most = height / (LEVEL_LABEL * em)
  const levels = most >= 5 ? [0, 0.25, 0.5, 0.75, 1] : most >= 3 ? [0, 0.5, 1] : [0, 1]
  return (
    <div className={classes.levels} style={{ height }} aria-hidden="true">
      {/* Gives the column its width: the labels themselves are out of the flow. */}
      <span className={classes.widest}>noise 1</span>
      {levels.map((level) => (
        <span
          key={level}
          className={classes.level}
          style={{ bottom: `${level * 100}%` }}
          data-end={level === 0 || level === 1 ? level : undefined}
        >
          {level === 1 ? 'noise 1' : level === 0 ? 'data 0' : level}
        </span>
      ))}
    </div>
  )
}

export function StepAxis({ domain, width, em }: { domain: Domain; width: number; em: number }) {
  const span = domain.to - domain.from
  const most = Math.max(2, Math.floor(width / (STEP_LABEL * em)))
  // Steps are whole: a zoom on three of them has no tick between two.
  const ticks = linearTicks(domain.from, domain.to, most).filter(Number.isInteger)
  return (
    <div className={classes.steps} aria-hidden="true">
      {width > 0 &&
        ticks.map((step) => {
          const share = (step - domain.from) / span
          const edge = ((STEP_LABEL / 3) * em) / width
          return (
            <span
              key={step}
              className={classes.step}
              style={{ left: `${share * 100}%` }}
              data-end={share < edge ? 'first' : share > 1 - edge ? 'last' : undefined}
            >
              {formatCount(step)}
            </span>
          )
        })}
    </div>
  )
}
