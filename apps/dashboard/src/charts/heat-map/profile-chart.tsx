import { useMemo, useState } from 'react'
import { formatCount, formatWhole } from '../curves/format-number.ts'
import { useStable } from '../curves/use-stable.ts'
import { useStepCursor } from '../curves/use-step-cursor.ts'
import type { StepWindow } from '../curves/window.ts'
import type { ColourScaleKind } from './colour-scale.ts'
import { binText, columnNear } from './grid.ts'
import { LineChart } from './line-chart.tsx'
import { profileAt, rowCurve, type Statistic, sameStatistics } from './profile.ts'

const LEVELS = [0, 1] as const

/** A column of the heat map: statistics over t at one step. */
export function ProfileChart({
  statistics: given,
  step,
  scale = 'linear',
  title = 'Profile over t',
  height = 180,
}: {
  /** Keep each grid by useMemo. */
  statistics: readonly Statistic[]
  /** Each statistic's row nearest to it is drawn; null for no step chosen. */
  step: number | null
  scale?: ColourScaleKind
  title?: string
  /** CSS pixels of the plot with its axes. */
  height?: number
}) {
  const statistics = useStable(given, sameStatistics)
  const [cursor, setCursor] = useState<number | null>(null)
  const profile = useMemo(() => profileAt(step === null ? [] : statistics, step ?? 0), [statistics, step])
  const notes = profile.steps.map((at) =>
    at === null ? 'no row at this step' : at === step ? null : `logged at step ${formatWhole(at)}`,
  )
  return (
    <LineChart
      title={title}
      sentence={step === null ? 'No step is chosen.' : `At step ${formatWhole(step)}.`}
      data={profile}
      scale={scale}
      range={LEVELS}
      formatX={String}
      placeText={(t) => `t ${t.toFixed(3)}`}
      axisText="t = 0 data, t = 1 noise"
      notes={notes}
      empty={step === null ? 'Pick a step in the heat map' : 'No row at this step'}
      height={height}
      cursor={cursor !== null && cursor < profile.x.length ? cursor : null}
      onCursor={setCursor}
    />
  )
}

/** A row of the heat map: one bin over the steps. */
export function RowChart({
  statistic,
  bin,
  scale = 'linear',
  window = null,
  cursor: given,
  onCursor,
  title = 'One noise level over the steps',
  height = 180,
}: {
  /** Keep its grid by useMemo. */
  statistic: Statistic
  bin: number
  scale?: ColourScaleKind
  /** The steps in view; null for all. */
  window?: StepWindow | null
  /** Step of the linked cursor, null for none. Left out, the chart keeps its own. */
  cursor?: number | null | undefined
  onCursor?: ((step: number | null) => void) | undefined
  title?: string
  /** CSS pixels of the plot with its axes. */
  height?: number
}) {
  const [cursor, moveCursor] = useStepCursor(given, onCursor)
  const { key, label, grid } = statistic
  const row = useMemo(() => rowCurve({ key, label, grid }, bin), [key, label, grid, bin])
  const from = window?.from ?? grid.steps[0] ?? 0
  const to = window?.to ?? grid.steps.at(-1) ?? 0
  return (
    <LineChart
      title={title}
      sentence={`t ${binText(bin, grid.bins)}, bin ${formatWhole(bin)} of ${formatWhole(grid.bins)}.`}
      data={row}
      scale={scale}
      range={to > from ? [from, to] : [from - 1, from + 1]}
      formatX={formatCount}
      placeText={(step) => `step ${formatWhole(step)}`}
      axisText="step"
      empty="No row yet"
      height={height}
      cursor={cursor === null ? null : columnNear(grid, cursor)}
      onCursor={(column) => moveCursor(column === null ? null : (grid.steps[column] ?? null))}
    />
  )
}
