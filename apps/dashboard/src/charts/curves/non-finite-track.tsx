import { memo, useMemo } from 'react'
import classes from './curves.module.css'
import type { ChartModel } from './model.ts'
import { clusterMarks, clusterText, type NonFiniteCluster } from './non-finite.ts'
import type { PlotFrame } from './plot.tsx'

/** Shapes, not only colours. */
const GLYPH: Record<NonFiniteCluster['kind'], string> = {
  NaN: '■',
  Infinity: '▲',
  '-Infinity': '▼',
  inside: '◆',
  mixed: '✚',
}

/** Closer marks are one: as wide as a mark is. */
const APART = 12

/**
 * Where values are not finite, above the plot and on its x axis. A click moves the cursor there. Keyboards jump with
 * `n` in the plot, so the marks are no stops of their own: there can be a hundred.
 */
export const NonFiniteTrack = memo(function NonFiniteTrack({
  model,
  frame,
  onJump,
}: {
  model: ChartModel
  /** null: nothing is plotted. */
  frame: PlotFrame | null
  onJump: (step: number) => void
}) {
  const clusters = useMemo(() => {
    if (frame === null) return []
    const place = placesOf(model)
    return clusterMarks(
      model.nonFinite.flatMap(({ marks }) => marks),
      (step) => {
        const x = place(step)
        const share = x === null ? -1 : (x - frame.from) / (frame.to - frame.from)
        return share < 0 || share > 1 ? null : share * frame.width
      },
      APART,
    )
  }, [model, frame])
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms
    <div className={classes.track} role="group" aria-label="Values that are not finite">
      {frame !== null &&
        clusters.map((cluster) => {
          const text = clusterText(cluster)
          return (
            <button
              key={cluster.step}
              type="button"
              tabIndex={-1}
              className={classes.cluster}
              style={{ left: frame.left + cluster.left }}
              title={text}
              aria-label={`Go to ${text}`}
              onClick={() => onJump(cluster.step)}
            >
              {GLYPH[cluster.kind]}
            </button>
          )
        })}
    </div>
  )
})

/** The place of a step as the curves have it. */
function placesOf({ curves }: ChartModel): (step: number) => number | null {
  const places = new Map<number, number>()
  for (const { step, x } of curves) {
    for (const [index, value] of step.entries()) {
      const place = x[index]
      if (place !== undefined && !places.has(value)) places.set(value, place)
    }
  }
  return (step) => places.get(step) ?? null
}
