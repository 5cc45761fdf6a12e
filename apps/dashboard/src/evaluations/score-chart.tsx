import { Text, useComputedColorScheme } from '@mantine/core'
import { useElementSize } from '@mantine/hooks'
import { type KeyboardEvent, useMemo, useState } from 'react'
import { palette } from '../charts/curves/palette.ts'
import classes from './evaluations.module.css'
import { axisOf, type Interval, scoreText, timeText } from './numbers.ts'
import { ScoreLegend } from './score-legend.tsx'
import { type Frame, rolePaths, xOn, yOn } from './score-paths.ts'
import { type Measure, nearestPoint, type ScorePoint } from './score-points.ts'
import { ScoreValues } from './score-values.tsx'

const HEIGHT = 240
const TICKS = [0, 0.25, 0.5, 0.75, 1]

/** Points with intervals; pointer and arrow keys read them, a table holds them all. */
export function ScoreChart({
  points,
  measure,
  x,
}: {
  /** Ascending in x, at least one. */
  points: readonly ScorePoint[]
  measure: Measure
  x: 'time' | 'step'
}) {
  const { ref, width } = useElementSize()
  const scheme = useComputedColorScheme('light')
  const [picked, setPicked] = useState<string | null>(null)
  const xText = x === 'time' ? timeText : (value: number) => String(Math.round(value))
  const frame: Frame = { left: 52, right: Math.max(120, width) - 12, top: 10, bottom: HEIGHT - 28 }
  const [xAxis, yAxis] = useMemo(() => axesOf(points, measure), [points, measure])
  const roles = useMemo(() => [...Map.groupBy(points, ({ role }) => role)], [points])
  const chosen = points.find(({ id }) => id === picked) ?? points.at(-1)
  if (chosen === undefined) return null
  const atX = (value: number): number => xOn(value, xAxis, frame)
  const atY = (value: number): number => yOn(value, yAxis, frame)
  const index = points.indexOf(chosen)
  const press = (event: KeyboardEvent) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, Home: -points.length, End: points.length }[event.key]
    if (by === undefined) return
    event.preventDefault()
    setPicked(points[Math.max(0, Math.min(points.length - 1, index + by))]?.id ?? null)
  }
  const value = (share: number, [low, high]: Interval): number => low + share * (high - low)
  return (
    <div ref={ref}>
      <div
        className={classes.chart}
        role="slider"
        tabIndex={0}
        aria-label={`${measure.label} over ${x === 'time' ? 'time' : 'training steps'}`}
        aria-valuemin={0}
        aria-valuemax={points.length - 1}
        aria-valuenow={index}
        aria-valuetext={`${xText(chosen.x)}, ${chosen.label}`}
        onKeyDown={press}
        onPointerMove={({ clientX, currentTarget }) => {
          const inside = clientX - currentTarget.getBoundingClientRect().left - frame.left
          const at = value(inside / (frame.right - frame.left), xAxis)
          setPicked(nearestPoint(points, at)?.id ?? null)
        }}
      >
        <svg
          width="100%"
          height={HEIGHT}
          viewBox={`0 0 ${Math.max(120, width)} ${HEIGHT}`}
          aria-hidden="true"
        >
          {TICKS.map((share) => {
            const y = atY(value(share, yAxis))
            return (
              <g key={share}>
                <line className={classes.grid} x1={frame.left} x2={frame.right} y1={y} y2={y} />
                <text className={classes.ink} x={frame.left - 6} y={y + 4} textAnchor="end">
                  {scoreText(value(share, yAxis))}
                </text>
              </g>
            )
          })}
          {(points.length === 1 ? [0.5] : width < 600 ? [0, 1] : [0, 0.5, 1]).map((share) => (
            <text
              key={share}
              className={classes.ink}
              x={atX(value(share, xAxis))}
              y={HEIGHT - 8}
              textAnchor={share === 0 ? 'start' : share === 1 ? 'end' : 'middle'}
            >
              {xText(value(share, xAxis))}
            </text>
          ))}
          <line
            className={classes.cursor}
            x1={atX(chosen.x)}
            x2={atX(chosen.x)}
            y1={frame.top}
            y2={frame.bottom}
          />
          {roles.map(([role, own], sign) => {
            const { colour } = palette.style(role, scheme)
            const { line, intervals, signs } = rolePaths(own, atX, atY, sign)
            return (
              <g key={role} stroke={colour} fill="none">
                <path d={line} strokeWidth={1} opacity={0.6} />
                <path d={intervals} strokeWidth={2} />
                <path d={signs} fill={colour} />
              </g>
            )
          })}
        </svg>
      </div>
      <ScoreLegend roles={roles.map(([role]) => role)} scheme={scheme} />
      <Text size="xs" className={classes.figure} style={{ whiteSpace: 'normal' }}>
        {xText(chosen.x)}: {chosen.label}
      </Text>
      <ScoreValues points={points} measure={measure} xLabel={x === 'time' ? 'Time' : 'Step'} xText={xText} />
    </div>
  )
}

function axesOf(points: readonly ScorePoint[], measure: Measure): [Interval, Interval] {
  const ranges = points.map(
    ({ value, interval }): Interval => [
      Math.min(value, interval?.[0] ?? value),
      Math.max(value, interval?.[1] ?? value),
    ],
  )
  const wide = Math.max(...ranges.map(([, high]) => Math.abs(high)), 1e-6)
  return [
    [points[0]?.x ?? 0, points.at(-1)?.x ?? 1],
    axisOf(ranges, measure.share ? [0, 1] : [-Infinity, Infinity], measure.share ? 0.05 : wide / 10),
  ]
}
