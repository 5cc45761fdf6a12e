import { useComputedColorScheme } from '@mantine/core'
import { type KeyboardEvent, useEffect, useRef } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import classes from './curves.module.css'
import { CHART_HINT, CHART_SHORTCUTS } from './keyboard.ts'
import type { ChartModel } from './model.ts'
import type { PlacedMark } from './overlay.ts'
import { palette } from './palette.ts'
import { type PlotShape, type PlotState, plotOptions } from './plot-options.ts'
import { readTheme } from './theme.ts'

/** Where the plotting area lies in its element, and what it shows; in CSS pixels and places on the x axis. */
export interface PlotFrame {
  left: number
  width: number
  from: number
  to: number
}

interface PlotProps {
  model: ChartModel
  shape: PlotShape
  /** Places in view; null: all of the data. */
  range: readonly [number, number] | null
  marks: readonly PlacedMark[]
  /** CSS pixels, axis included. */
  height: number
  /** Place of the cursor; null hides it. */
  cursor: number | null
  label: string
  /** The cursor for screen readers: its step, the first and last step, and what is there. */
  value: { now: number; min: number; max: number; text: string }
  onPointer: (place: number | null) => void
  onSelect: (from: number, to: number) => void
  onReset: () => void
  onFrame: (frame: PlotFrame) => void
  onKeyDown: (event: KeyboardEvent) => void
}

export const sameFrame = (a: PlotFrame, b: PlotFrame): boolean =>
  a.left === b.left && a.width === b.width && a.from === b.from && a.to === b.to

/** Narrower than this a plot has no room beside its axis. */
const NARROWEST = 120

/** uPlot in React: made anew for another shape or colour scheme; new data, range and size only update it. */
export function Plot(props: PlotProps) {
  const { model, shape, range, marks, height, cursor, label, value, onKeyDown } = props
  const host = useRef<HTMLDivElement>(null)
  const chart = useRef<uPlot | null>(null)
  const latest = useRef(props)
  latest.current = props
  /** While the pointer is in this chart it sets the cursor itself. */
  const hovered = useRef(false)
  /** What the chart shows already: a new one is made with its data. */
  const drawn = useRef<readonly [ChartModel, PlotProps['range']] | null>(null)
  const scheme = useComputedColorScheme('light')
  const shapeKey = JSON.stringify(shape)

  useEffect(() => {
    const element = host.current
    if (!element) return
    const shape = JSON.parse(shapeKey) as PlotShape
    const theme = readTheme(element, scheme)
    const styles = new Map(shape.keys.map((key) => [key, palette.style(key, scheme)]))
    const state = (): PlotState => ({
      ...latest.current,
      theme,
      styles,
      // The hook runs after each change of data too, with the cursor that another chart has set.
      onPointer: (place) => {
        if (hovered.current) latest.current.onPointer(place)
      },
      // A place has other pixels after each change of data, range or size.
      onDraw: (plot) => {
        if (!hovered.current) showCursor(plot, latest.current.cursor)
        reportFrame(plot, latest.current.onFrame)
      },
    })
    const width = () => Math.max(element.clientWidth, NARROWEST)
    const plot = new uPlot(
      plotOptions(shape, { width: width(), height: latest.current.height }, state, () => uPlot.pxRatio),
      latest.current.model.columns.data as uPlot.AlignedData,
      element,
    )
    chart.current = plot
    drawn.current = [latest.current.model, latest.current.range]
    const resize = new ResizeObserver(() => {
      if (width() !== plot.width) plot.setSize({ width: width(), height: latest.current.height })
    })
    resize.observe(element)
    return () => {
      resize.disconnect()
      plot.destroy()
      chart.current = null
    }
  }, [scheme, shapeKey])

  useEffect(() => {
    if (drawn.current?.[0] === model && drawn.current[1] === range) return
    drawn.current = [model, range]
    chart.current?.setData(model.columns.data as uPlot.AlignedData)
  }, [model, range])

  // biome-ignore lint/correctness/useExhaustiveDependencies: the marks are read by the overlay, through `latest`
  useEffect(() => chart.current?.redraw(false), [marks])

  useEffect(() => {
    const plot = chart.current
    if (plot && plot.height !== height) plot.setSize({ width: plot.width, height })
  }, [height])

  useEffect(() => {
    if (chart.current && !hovered.current) showCursor(chart.current, cursor)
  }, [cursor])

  return (
    <div
      ref={host}
      className={classes.plot}
      style={{ height }}
      role="slider"
      tabIndex={0}
      aria-label={label}
      aria-description={CHART_HINT}
      aria-keyshortcuts={CHART_SHORTCUTS}
      aria-orientation="horizontal"
      aria-valuemin={value.min}
      aria-valuemax={value.max}
      aria-valuenow={value.now}
      aria-valuetext={value.text}
      onPointerMove={() => {
        hovered.current = true
      }}
      onPointerLeave={() => {
        hovered.current = false
        latest.current.onPointer(null)
      }}
      onKeyDown={(event) => {
        hovered.current = false
        onKeyDown(event)
      }}
    />
  )
}

/** Without firing the hook: a cursor that came from another chart is not reported back to it. */
function showCursor(plot: uPlot, place: number | null): void {
  const left = place === null ? -10 : plot.valToPos(place, 'x')
  const inView = left >= 0 && left <= plot.over.clientWidth
  plot.setCursor({ left: inView ? left : -10, top: inView ? 0 : -10 }, false)
}

function reportFrame(plot: uPlot, report: (frame: PlotFrame) => void): void {
  const { left, width } = plot.bbox
  const { min, max } = plot.scales.x ?? {}
  if (min === undefined || max === undefined || min === null || max === null) return
  report({ left: left / uPlot.pxRatio, width: width / uPlot.pxRatio, from: min, to: max })
}
