import { useComputedColorScheme } from '@mantine/core'
import { type KeyboardEvent, useCallback, useState } from 'react'
import { applyKey } from './apply-key.ts'
import { formatValue, type ScaleKind } from './axis-scale.ts'
import { ChartHeader, nothingText } from './chart-header.tsx'
import classes from './curves.module.css'
import { formatWhole } from './format-number.ts'
import { chartKey } from './keyboard.ts'
import { Legend } from './legend.tsx'
import { NonFiniteTrack } from './non-finite-track.tsx'
import { palette } from './palette.ts'
import { Plot, type PlotFrame, sameFrame } from './plot.tsx'
import { bucketAt, bucketText, figureLabel, markAt } from './readout.ts'
import { smoothingLabel } from './smoothing.ts'
import { stepNear, windowOf } from './step-near.ts'
import type { ChartMark, ChartStatus, CurveSeries, ExpectedBand, XAxis } from './types.ts'
import { useChart } from './use-chart.ts'
import { useStepCursor } from './use-step-cursor.ts'
import { ValuesTable } from './values-table.tsx'
import { pointsText, type StepWindow } from './window.ts'
import { placeStep, X_AXIS_LABEL } from './x-axis.ts'

export interface CurveChartProps {
  title: string
  series: readonly CurveSeries[]
  axis?: XAxis
  scale?: ScaleKind
  /** Half-life in steps; 0, the default, for none. */
  smoothing?: number
  /** The steps in view; null for all. The caller asks the server again for what is in it. */
  window?: StepWindow | null
  onWindow?: ((window: StepWindow | null) => void) | undefined
  /** First and last step of the whole series, which zoomed data does not tell: how far zooming out goes. */
  extent?: StepWindow | undefined
  /** Step of the linked cursor, null for none. Left out, the chart keeps its own. */
  cursor?: number | null | undefined
  onCursor?: ((step: number | null) => void) | undefined
  /** The next non-finite value was asked for, by a click or by `n`; the cursor moves there by itself. */
  onJump?: ((step: number) => void) | undefined
  /** Ascending by step. */
  marks?: readonly ChartMark[]
  /** Where a reference run moved. */
  band?: ExpectedBand | null
  /** CSS pixels of the plot with its axes; default 180. */
  height?: number
  status?: ChartStatus
}

const NO_MARKS: readonly ChartMark[] = []
const READY: ChartStatus = { kind: 'ready' }

/** Several series over one x axis: lines, ranges, attempts, events and what is not finite. */
export function CurveChart(props: CurveChartProps) {
  const { title, axis = 'step', scale = 'linear', smoothing = 0, window = null, height = 180 } = props
  const { onWindow, onJump, status = READY, marks: givenMarks = NO_MARKS, band: givenBand = null } = props
  const chart = useChart({
    series: props.series,
    marks: givenMarks,
    band: givenBand,
    axis,
    scale,
    smoothing,
    window,
    extent: props.extent,
  })
  const { all, shown, model, marks, band, extent } = chart
  const [frame, setFrame] = useState<PlotFrame | null>(null)
  const [cursor, moveCursor] = useStepCursor(props.cursor, props.onCursor)
  const scheme = useComputedColorScheme('light')

  const onFrame = useCallback(
    (next: PlotFrame) => setFrame((before) => (before !== null && sameFrame(before, next) ? before : next)),
    [],
  )
  const reset = () => onWindow?.(null)
  const jump = useCallback(
    (step: number) => {
      moveCursor(step)
      onJump?.(step)
    },
    [moveCursor, onJump],
  )
  const press = (event: KeyboardEvent) => {
    const key = chartKey(event)
    if (key === null) return
    event.preventDefault()
    const nonFinite = model.nonFinite.flatMap((one) => one.marks)
    const effect = applyKey(key, { steps: model.steps, cursor, window, extent, nonFinite })
    if (effect.window !== undefined) onWindow?.(effect.window)
    if (effect.cursor === undefined) return
    if (effect.jumped && effect.cursor !== null) jump(effect.cursor)
    else moveCursor(effect.cursor)
  }

  const entries = all.map(({ key, label, points }) => {
    const bucket = cursor === null ? points.buckets.at(-1) : bucketAt(points, cursor)
    return {
      key,
      label,
      value: formatValue(scale, bucket?.last ?? null),
      detail: bucket ? bucketText(bucket, (value) => formatValue(scale, value)) : '–',
      nonFinite: model.nonFinite.find((one) => one.key === key)?.count ?? 0,
      style: palette.style(key, scheme),
      shown: !chart.hidden.has(key),
    }
  })
  const event = cursor === null ? null : markAt(marks, model.steps, cursor)
  const place = cursor === null ? null : `step ${formatWhole(cursor)}${event ? `: ${event.label}` : ''}`
  const notes = [
    ...(axis === 'step' ? [] : [`by ${X_AXIS_LABEL[axis]}`]),
    ...(smoothing > 0 ? [smoothingLabel(smoothing)] : []),
    ...(model.unplaced > 0
      ? [`${formatWhole(model.unplaced)} buckets have no ${X_AXIS_LABEL[axis]} and are not drawn`]
      : []),
  ]
  const values = entries.filter((entry) => entry.shown).map(({ label, detail }) => `${label} ${detail}`)
  const placed = model.columns.data[0].length > 0

  return (
    <figure
      className={classes.figure}
      aria-label={figureLabel(title, all)}
      aria-busy={status.kind === 'loading'}
    >
      <ChartHeader
        title={title}
        place={place}
        points={pointsText(shown.map(({ points }) => points))}
        notes={notes}
        window={window}
        status={status}
        onReset={reset}
      />
      <Legend entries={entries} expected={band?.label ?? null} onToggle={chart.toggle} />
      <NonFiniteTrack model={model} frame={placed ? frame : null} onJump={jump} />
      {placed ? (
        <Plot
          model={model}
          shape={{
            keys: shown.map(({ key }) => key),
            smoothed: smoothing > 0,
            expected: band !== null,
            axis,
          }}
          range={chart.range}
          marks={chart.placedMarks}
          height={height}
          cursor={cursor === null ? null : placeStep(axis, shown[0] ?? {}, cursor)}
          label={`${title}: cursor`}
          value={{
            now: cursor ?? model.extent?.to ?? 0,
            min: model.extent?.from ?? 0,
            max: model.extent?.to ?? 0,
            text: [place ?? 'last values', ...values].join(', '),
          }}
          onPointer={(at) => moveCursor(at === null ? null : stepNear(model.curves, at))}
          onSelect={(from, to) => onWindow?.(windowOf(shown, axis, [from, to], extent))}
          onReset={reset}
          onFrame={onFrame}
          onKeyDown={press}
        />
      ) : (
        <div className={`${classes.empty} ${classes.note}`} style={{ height }}>
          {all.length > 0 && shown.length === 0 ? 'All series are hidden' : nothingText(status, window)}
        </div>
      )}
      <ValuesTable title={title} series={shown} model={model} marks={marks} />
    </figure>
  )
}
