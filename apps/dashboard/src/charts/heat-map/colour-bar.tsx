import { type ColourMap, cssGradient } from './colour.ts'
import type { ColourScale } from './colour-scale.ts'
import classes from './heat-map.module.css'

/** Root font sizes between two ticks. */
const TICK_ROOM = 2

export function ColourBar({
  scale,
  map,
  height,
  em,
}: {
  scale: ColourScale
  map: ColourMap
  height: number
  em: number
}) {
  const ticks = scale.ticks(Math.max(2, Math.floor(height / (TICK_ROOM * em))))
  const [first, last] = [ticks[0], ticks.at(-1)]
  if (first === undefined || last === undefined) return null
  const widest = ticks.reduce((text, tick) => (tick.text.length > text.length ? tick.text : text), '')
  const label =
    map === 'diverging'
      ? `Colours, ${scale.kind}: ${first.text} blue, 0 dark, ${last.text} amber`
      : `Colours, ${scale.kind}: ${first.text} dark to ${last.text} bright`
  return (
    <div className={classes.bar} style={{ height }} role="img" aria-label={label}>
      <div className={classes.gradient} style={{ background: cssGradient(map, 'to top') }} />
      <div className={classes.ticks}>
        <span className={classes.widest}>{widest}</span>
        {ticks.map(({ place, text }) => (
          <span
            key={text}
            className={classes.tick}
            style={{ bottom: `${place * 100}%` }}
            data-end={place < 0.03 ? 0 : place > 0.97 ? 1 : undefined}
          >
            {text}
          </span>
        ))}
      </div>
    </div>
  )
}
