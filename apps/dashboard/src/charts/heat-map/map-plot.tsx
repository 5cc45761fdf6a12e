import { type KeyboardEvent, useEffect, useLayoutEffect, useRef } from 'react'
import { readTheme } from '../curves/theme.ts'
import { drawMap } from './draw.ts'
import type { Grid } from './grid.ts'
import classes from './heat-map.module.css'
import { MAP_HINT, MAP_SHORTCUTS } from './keys.ts'
import type { GridPlace } from './readout.ts'
import type { Cell } from './types.ts'
import { useAppliedScheme } from './use-applied-scheme.ts'
import { type CanvasSize, useCanvasSize } from './use-canvas-size.ts'
import { type MapGestures, useMapPointer } from './use-map-pointer.ts'
import { type ColumnEdges, type Domain, inDomain } from './view.ts'

interface MapPlotProps {
  grid: Grid
  cells: Uint32Array
  edges: ColumnEdges
  domain: Domain
  outlined: readonly Cell[]
  /** CSS pixels. */
  height: number
  label: string
  /** Step of the dashed line. */
  cursor: number | null
  /** The cell under the pointer or the keyboard's cursor. */
  place: GridPlace | null
  picked: GridPlace | null
  gestures: MapGestures
  onReset: () => void
  onKeyDown: (event: KeyboardEvent) => void
  onBlur: () => void
  onSize: (size: CanvasSize) => void
}

/** The canvas with what lies over it. Cursor, outline and selection are elements, so that moving them redraws nothing. */
export function MapPlot(props: MapPlotProps) {
  const { grid, cells, edges, domain, outlined, height, cursor, place, picked, onSize } = props
  const host = useRef<HTMLDivElement>(null)
  const canvas = useRef<HTMLCanvasElement>(null)
  const buffer = useRef<HTMLCanvasElement | null>(null)
  const size = useCanvasSize(host)
  const scheme = useAppliedScheme()
  const { handlers, selected } = useMapPointer(host, props.gestures)

  useEffect(() => onSize(size), [size, onSize])

  // Before the browser paints: a canvas that was given a size is empty.
  useLayoutEffect(() => {
    const element = canvas.current
    const context = element?.getContext('2d')
    if (!element || !context || size.width === 0) return
    const [width, tall] = [Math.round(size.width * size.ratio), Math.round(height * size.ratio)]
    if (element.width !== width) element.width = width
    if (element.height !== tall) element.height = tall
    buffer.current ??= document.createElement('canvas')
    const theme = readTheme(element, scheme)
    drawMap(context, buffer.current, { grid, cells, edges, domain, outlined, theme, ratio: size.ratio })
  }, [grid, cells, edges, domain, outlined, size, height, scheme])

  const share = (step: number) => (step - domain.from) / (domain.to - domain.from)
  const box = ({ column, bin }: GridPlace) => {
    const left = share(edges.left[column] ?? 0)
    return {
      left: percent(left),
      width: percent(share(edges.right[column] ?? 0) - left),
      bottom: percent(bin / grid.bins),
      height: percent(1 / grid.bins),
    }
  }
  const line = cursor === null ? -1 : share(cursor)
  return (
    <div
      ref={host}
      className={classes.plot}
      style={{ height }}
      role="application"
      aria-roledescription="heat map"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: an application takes keys itself
      tabIndex={0}
      aria-label={props.label}
      aria-description={MAP_HINT}
      aria-keyshortcuts={MAP_SHORTCUTS}
      onDoubleClick={props.onReset}
      onKeyDown={props.onKeyDown}
      onBlur={props.onBlur}
      {...handlers}
    >
      <canvas ref={canvas} className={classes.canvas} style={{ height }} />
      {line >= 0 && line <= 1 && <div className={classes.cursor} style={{ left: percent(line) }} />}
      {picked && inDomain(edges, domain, picked.column) && (
        <div className={classes.picked} style={box(picked)} />
      )}
      {place && inDomain(edges, domain, place.column) && <div className={classes.cell} style={box(place)} />}
      {selected && (
        <div
          className={classes.selection}
          style={{ left: percent(selected.from), width: percent(selected.to - selected.from) }}
        />
      )}
    </div>
  )
}

const percent = (share: number): string => `${(100 * share).toFixed(4)}%`
