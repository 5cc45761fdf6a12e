import { nearestIndex } from './readout.ts'
import type { Curve } from './series.ts'
import type { CurveSeries, XAxis } from './types.ts'
import { clampWindow, type StepWindow } from './window.ts'
import { stepAt } from './x-axis.ts'

/** The step whose place is nearest to one on the x axis; null without data. */
export function stepNear(curves: readonly Pick<Curve, 'x' | 'step'>[], place: number): number | null {
  let best: number | null = null
  let distance = Number.POSITIVE_INFINITY
  for (const { x, step } of curves) {
    const index = nearestIndex(x, place)
    const away = Math.abs((x[index] ?? Number.POSITIVE_INFINITY) - place)
    if (away < distance) {
      best = step[index] ?? null
      distance = away
    }
  }
  return best
}

/** Places dragged over, as steps that hold them for all series: runs' clocks differ. */
export function windowOf(
  series: readonly CurveSeries[],
  axis: XAxis,
  places: readonly [number, number],
  extent: StepWindow,
): StepWindow | null {
  const steps = places.map((place) =>
    series.map((one) => stepAt(axis, one, place)).filter((step) => step !== null),
  )
  const [low = [], high = []] = steps
  if (low.length === 0 || high.length === 0) return null
  return clampWindow({ from: Math.min(...low), to: Math.max(...high) }, extent)
}
