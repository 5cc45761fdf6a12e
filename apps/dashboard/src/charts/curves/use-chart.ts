import { useMemo, useRef, useState } from 'react'
import type { ScaleKind } from './axis-scale.ts'
import { chartModel, windowPlaces } from './model.ts'
import type { ChartMark, CurveSeries, ExpectedBand, XAxis } from './types.ts'
import { sameBand, sameMarks, sameSeries, useStable } from './use-stable.ts'
import type { StepWindow } from './window.ts'
import { placeStep } from './x-axis.ts'

/** The server's largest step: zooming out of a window from the URL ends there, before the extent is known. */
const ANY: StepWindow = { from: 0, to: 1_000_000_000 }

/** A chart's derived data, each part made again only when what it depends on means something else. */
export function useChart(given: {
  series: readonly CurveSeries[]
  marks: readonly ChartMark[]
  band: ExpectedBand | null
  axis: XAxis
  scale: ScaleKind
  smoothing: number
  window: StepWindow | null
  extent: StepWindow | undefined
}) {
  const { axis, scale, smoothing, window } = given
  const all = useStable(given.series, sameSeries)
  const marks = useStable(given.marks, sameMarks)
  const band = useStable(given.band, sameBand)
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set())

  const shown = useMemo(() => all.filter(({ key }) => !hidden.has(key)), [all, hidden])
  const model = useMemo(
    () => chartModel(shown, { axis, scale, smoothing, band }),
    [shown, axis, scale, smoothing, band],
  )
  const { from, to } = window ?? {}
  const range = useMemo(
    () => (from === undefined || to === undefined ? null : windowPlaces({ from, to }, shown, axis)),
    [from, to, shown, axis],
  )
  const placedMarks = useMemo(
    () =>
      marks.flatMap(({ step, kind }) => {
        const x = placeStep(axis, shown[0] ?? {}, step)
        return x === null ? [] : [{ x, kind }]
      }),
    [marks, shown, axis],
  )
  // Data that was asked for in a window does not tell how far the series goes beyond it.
  const whole = useRef<StepWindow | null>(null)
  if (window === null) whole.current = model.extent

  const toggle = (key: string) =>
    setHidden((before) => {
      const after = new Set(before)
      if (!after.delete(key)) after.add(key)
      return after
    })
  return {
    all,
    shown,
    hidden,
    toggle,
    marks,
    band,
    model,
    range,
    placedMarks,
    extent: given.extent ?? whole.current ?? ANY,
  }
}
