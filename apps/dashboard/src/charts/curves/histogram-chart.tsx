import { Group, Text, useComputedColorScheme, VisuallyHidden } from '@mantine/core'
import { type KeyboardEvent, type PointerEvent, useEffect, useMemo, useRef, useState } from 'react'
import classes from './curves.module.css'
import { formatNumber, formatWhole } from './format-number.ts'
import { type BinRange, columnAt, columnText, type HistogramRow, pairRows } from './histogram.ts'
import { classColours, drawHistory, drawProfile, MEDIAN_DASH } from './histogram-drawing.ts'
import { chartKey } from './keyboard.ts'
import { readTheme } from './theme.ts'
import { useStepCursor } from './use-step-cursor.ts'

const PROFILE_WIDTH = 110

/** How a discriminator's logits of real and fake images move apart over the steps. */
export function HistogramChart({
  title,
  real,
  fake,
  range,
  cursor: given,
  onCursor,
  height = 140,
}: {
  title: string
  /** By step, as `histogramRows` makes them; both with the same bins. */
  real: readonly HistogramRow[]
  fake: readonly HistogramRow[]
  range: BinRange
  /** Step of the linked cursor, null for none. Left out, the chart keeps its own. */
  cursor?: number | null | undefined
  onCursor?: ((step: number | null) => void) | undefined
  /** CSS pixels. */
  height?: number
}) {
  const history = useRef<HTMLCanvasElement>(null)
  const profile = useRef<HTMLCanvasElement>(null)
  const [width, setWidth] = useState(0)
  const [cursor, moveCursor] = useStepCursor(given, onCursor)
  const scheme = useComputedColorScheme('light')
  const columns = useMemo(() => pairRows(real, fake), [real, fake])
  const chosen = cursor === null ? (columns.at(-1) ?? null) : columnAt(columns, cursor)
  const { low, high } = range

  useEffect(() => {
    const element = history.current
    if (!element) return
    const observer = new ResizeObserver(() => setWidth(element.clientWidth))
    observer.observe(element)
    return () => observer.disconnect()
  }, [])

  useEffect(() => {
    const context = prepared(history.current, width, height)
    if (context) drawHistory(context, columns, { low, high }, readTheme(context.canvas, scheme))
  }, [columns, width, height, scheme, low, high])

  useEffect(() => {
    const context = prepared(profile.current, PROFILE_WIDTH, height)
    if (context && chosen) drawProfile(context, chosen, readTheme(context.canvas, scheme))
  }, [chosen, height, scheme])

  const point = (event: PointerEvent<HTMLCanvasElement>) => {
    const box = event.currentTarget.getBoundingClientRect()
    const index = Math.floor(((event.clientX - box.left) / box.width) * columns.length)
    moveCursor(columns[Math.min(Math.max(index, 0), columns.length - 1)]?.step ?? null)
  }
  const press = (event: KeyboardEvent) => {
    const key = chartKey(event)
    if (key?.kind !== 'move' && key?.kind !== 'end' && key?.kind !== 'leave') return
    event.preventDefault()
    if (key.kind === 'leave') return moveCursor(null)
    const at = chosen === null ? 0 : columns.indexOf(chosen)
    const to = key.kind === 'move' ? at + key.by : key.to === 'first' ? 0 : columns.length - 1
    moveCursor(columns[Math.min(Math.max(to, 0), columns.length - 1)]?.step ?? null)
  }
  const text = chosen ? columnText(chosen, range) : 'no row yet'
  const colours = classColours({ scheme })
  return (
    <figure className={classes.figure} aria-label={`${title}, ${columns.length} steps, last ${text}`}>
      <Group justify="space-between" gap="xs" wrap="nowrap">
        <Text component="figcaption" size="sm" fw={600} truncate title={title}>
          {title}
        </Text>
        <Group gap="sm" wrap="nowrap">
          {(['real', 'fake'] as const).map((side) => (
            <span key={side} className={classes.entry}>
              <svg width="18" height="10" aria-hidden="true">
                <line
                  x2="18"
                  y1="5"
                  y2="5"
                  stroke={colours[side]}
                  strokeWidth="3"
                  strokeDasharray={MEDIAN_DASH[side].join(' ')}
                />
              </svg>
              {side}
            </span>
          ))}
        </Group>
      </Group>
      <div className={classes.note}>{text}</div>
      <div className={classes.histogram} style={{ height }}>
        <div className={`${classes.note} ${classes.bounds}`} aria-hidden="true">
          <span>{formatNumber(high)}</span>
          <span>{formatNumber(low)}</span>
        </div>
        <div className={classes.history}>
          <canvas
            ref={history}
            className={classes.canvas}
            style={{ height }}
            role="slider"
            tabIndex={0}
            aria-label={`${title}: step`}
            aria-valuemin={columns[0]?.step ?? 0}
            aria-valuemax={columns.at(-1)?.step ?? 0}
            aria-valuenow={chosen?.step ?? 0}
            aria-valuetext={text}
            onPointerMove={point}
            onPointerLeave={() => moveCursor(null)}
            onKeyDown={press}
          />
          {cursor !== null && chosen !== null && (
            <div
              className={classes.cursor}
              style={{ left: `${(100 * (columns.indexOf(chosen) + 0.5)) / columns.length}%` }}
            />
          )}
        </div>
        <canvas
          ref={profile}
          style={{ width: PROFILE_WIDTH, height }}
          role="img"
          aria-label={`${title}: shares at ${text}`}
        />
      </div>
      <Group justify="space-between" className={classes.note}>
        <span>{columns[0] ? `step ${formatWhole(columns[0].step)}` : 'No row yet'}</span>
        <span>{columns.length > 1 ? formatWhole(columns.at(-1)?.step ?? 0) : ''}</span>
        <span>{chosen ? `at step ${formatWhole(chosen.step)}` : ''}</span>
      </Group>
      <VisuallyHidden>
        Lines are the medians; a mark at the top is a row that is not finite or missing.
      </VisuallyHidden>
    </figure>
  )
}

/** Sized in device pixels; null while it has no size. */
function prepared(
  canvas: HTMLCanvasElement | null,
  width: number,
  height: number,
): CanvasRenderingContext2D | null {
  if (!canvas || width === 0) return null
  canvas.width = Math.round(width * window.devicePixelRatio)
  canvas.height = Math.round(height * window.devicePixelRatio)
  return canvas.getContext('2d')
}
