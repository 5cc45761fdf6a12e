import { type KeyboardEvent, useEffect, useRef } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import type { AxisScale } from '../curves/axis-scale.ts'
import { palette } from '../curves/palette.ts'
import { readTheme } from '../curves/theme.ts'
import classes from './heat-map.module.css'
import { type LineState, lineOptions, toColumns } from './line-options.ts'
import type { Lines } from './profile.ts'
import { useAppliedScheme } from './use-applied-scheme.ts'

interface LinePlotProps {
  data: Lines
  scale: AxisScale
  range: readonly [number, number]
  formatX: (x: number) => string
  /** CSS pixels, axes included. */
  height: number
  label: string
  /** What is at the cursor, for screen readers. */
  valueText: string
  /** Index into x; null hides the cursor. */
  cursor: number | null
  onCursor: (index: number | null) => void
}

/** Narrower than this a plot has no room beside its axis. */
const NARROWEST = 120

/** Lines over one x with a cursor: made anew for other lines or another colour scheme, else only updated. */
export function LinePlot(props: LinePlotProps) {
  const { data, scale, range, height, cursor, onCursor } = props
  const host = useRef<HTMLDivElement>(null)
  const chart = useRef<uPlot | null>(null)
  const latest = useRef(props)
  latest.current = props
  /** While the pointer is in this chart it sets the cursor itself. */
  const hovered = useRef(false)
  const scheme = useAppliedScheme()
  const keys = JSON.stringify(data.lines.map(({ key }) => key))

  useEffect(() => {
    const element = host.current
    if (!element) return
    const theme = readTheme(element, scheme)
    const styles = (JSON.parse(keys) as string[]).map((key) => palette.style(key, scheme))
    const state = (): LineState => ({
      ...latest.current,
      theme,
      styles,
      onPointer: (index) => {
        if (hovered.current) latest.current.onCursor(index)
      },
    })
    const width = () => Math.max(element.clientWidth, NARROWEST)
    const first = latest.current
    const plot = new uPlot(
      lineOptions({ width: width(), height: first.height }, state),
      toColumns(first.data, first.scale),
      element,
    )
    chart.current = plot
    const resize = new ResizeObserver(() => {
      if (width() !== plot.width) plot.setSize({ width: width(), height: latest.current.height })
    })
    resize.observe(element)
    return () => {
      resize.disconnect()
      plot.destroy()
      chart.current = null
    }
  }, [scheme, keys])

  const [from, to] = range
  // biome-ignore lint/correctness/useExhaustiveDependencies: the ends are read by the scale, through `latest`
  useEffect(() => {
    chart.current?.setData(toColumns(data, scale))
  }, [data, scale, from, to])

  useEffect(() => {
    const plot = chart.current
    if (plot && plot.height !== height) plot.setSize({ width: plot.width, height })
  }, [height])

  // After each change of data or range too: the cursor's place has other pixels then.
  // biome-ignore lint/correctness/useExhaustiveDependencies: see above
  useEffect(() => {
    const plot = chart.current
    if (!plot || hovered.current) return
    const x = cursor === null ? undefined : data.x[cursor]
    const left = x === undefined ? -10 : plot.valToPos(x, 'x')
    const inView = left >= 0 && left <= plot.over.clientWidth
    plot.setCursor({ left: inView ? left : -10, top: inView ? 0 : -10 }, false)
  }, [cursor, data, from, to, scheme, keys])

  const press = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return
    const last = data.x.length - 1
    const at = cursor ?? 0
    const far = event.shiftKey ? 10 : 1
    const to: Record<string, number | null> = {
      ArrowLeft: Math.max(0, at - far),
      ArrowDown: Math.max(0, at - far),
      ArrowRight: cursor === null ? 0 : Math.min(last, at + far),
      ArrowUp: cursor === null ? 0 : Math.min(last, at + far),
      Home: 0,
      End: last,
      Escape: null,
    }
    const next = to[event.key]
    if (next === undefined || last < 0) return
    event.preventDefault()
    hovered.current = false
    onCursor(next)
  }
  return (
    <div
      ref={host}
      className={classes.line}
      style={{ height }}
      role="slider"
      tabIndex={0}
      aria-label={props.label}
      aria-orientation="horizontal"
      aria-valuemin={0}
      aria-valuemax={Math.max(0, data.x.length - 1)}
      aria-valuenow={cursor ?? 0}
      aria-valuetext={props.valueText}
      aria-keyshortcuts="ArrowLeft ArrowRight Home End Escape"
      onPointerMove={() => {
        hovered.current = true
      }}
      onPointerLeave={() => {
        hovered.current = false
        onCursor(null)
      }}
      onKeyDown={press}
    />
  )
}
