import { type KeyboardEvent, useCallback, useMemo, useRef, useState } from 'react'
import { useStepCursor } from '../curves/use-step-cursor.ts'
import { clampWindow, type StepWindow, windowText, zoomAround } from '../curves/window.ts'
import { applyMapKey } from './apply-key.ts'
import type { Grid } from './grid.ts'
import { mapKey } from './keys.ts'
import type { PlacedMark } from './marks.ts'
import { cellText, type GridPlace } from './readout.ts'
import type { Cell, HeatMark } from './types.ts'
import type { MapGestures } from './use-map-pointer.ts'
import { useMapView } from './use-map-view.ts'
import { type ColumnEdges, columnAt, domainOf, panned } from './view.ts'

/** Of the steps in view, for one press of "+". */
const ZOOM = 0.5

/** Cursor, window and picks: what pointer, keyboard and buttons do to the map. */
export function useMapInteraction(
  { grid, edges, placed }: { grid: Grid; edges: ColumnEdges; placed: readonly PlacedMark[] },
  props: {
    cursor?: number | null | undefined
    onCursor?: ((step: number | null) => void) | undefined
    window?: StepWindow | null
    onWindow?: ((window: StepWindow | null) => void) | undefined
    onPick?: ((cell: Cell) => void) | undefined
  },
) {
  const { onPick } = props
  const { window, preview, settle } = useMapView(props.window ?? null, props.onWindow)
  const [cursor, moveCursor] = useStepCursor(props.cursor, props.onCursor)
  const [place, setPlace] = useState<GridPlace | null>(null)
  const [announced, announce] = useState('')
  const panStart = useRef<{ window: StepWindow | null } | null>(null)

  const { steps, bins } = grid
  const extent = useMemo(() => ({ from: steps[0] ?? 0, to: steps.at(-1) ?? 0 }), [steps])
  const domain = useMemo(() => domainOf(steps, edges, window), [steps, edges, window])
  const span = domain.to - domain.from
  const stepAt = (share: number) => domain.from + share * span

  const goTo = useCallback(
    (next: GridPlace | null) => {
      setPlace((before) => (before?.column === next?.column && before?.bin === next?.bin ? before : next))
      moveCursor(next === null ? null : (steps[next.column] ?? null))
    },
    [moveCursor, steps],
  )
  const pick = (at: GridPlace) => {
    const step = steps[at.column]
    if (step !== undefined) onPick?.({ step, bin: at.bin })
  }
  const placeAt = ({ x, y }: { x: number; y: number }): GridPlace | null => {
    const column = columnAt(steps, edges, stepAt(x))
    return column === null ? null : { column, bin: Math.min(bins - 1, Math.floor(y * bins)) }
  }
  const zoom = (centre: number, factor: number) => zoomAround(window, extent, centre, factor)
  const gestures: MapGestures = {
    onHover: (at) => goTo(at === null ? null : placeAt(at)),
    onClick: (at) => {
      const found = placeAt(at)
      goTo(found)
      if (found) pick(found)
    },
    onSelect: (from, to) => settle(clampWindow({ from: stepAt(from), to: stepAt(to) }, extent)),
    onPan: (by, done) => {
      panStart.current ??= { window }
      const next = panned(panStart.current.window, extent, -by * span)
      if (done) panStart.current = null
      if (next !== null) done ? settle(next) : preview(next)
    },
    onWheelPan: (by) => {
      const next = panned(window, extent, by * span)
      if (next !== null) preview(next)
    },
    onZoom: (at, factor) => preview(zoom(stepAt(at), factor)),
  }
  const press = (event: KeyboardEvent) => {
    const key = mapKey(event)
    if (key === null) return
    event.preventDefault()
    const effect = applyMapKey(key, { grid, place, cursor, window, extent, marks: placed })
    if (effect.window !== undefined) {
      settle(effect.window)
      announce(effect.window === null ? 'all steps' : windowText(effect.window))
    }
    if (effect.place !== undefined) {
      goTo(effect.place)
      announce(effect.place === null ? '' : cellText(grid, effect.place, placed))
    }
    if (effect.picked) pick(effect.picked)
  }
  const goToMark = useCallback(
    ({ step, bin }: HeatMark) => {
      const column = columnAt(steps, edges, step)
      moveCursor(column === null ? step : (steps[column] ?? step))
      const at = column === null ? undefined : steps[column]
      if (bin !== undefined && at !== undefined) onPick?.({ step: at, bin })
    },
    [steps, edges, moveCursor, onPick],
  )

  // A place in an earlier grid need not exist in this one.
  const shown = place && place.column < steps.length && place.bin < bins ? place : null
  const middle = cursor ?? (domain.from + domain.to) / 2
  return {
    window,
    domain,
    cursor,
    place: shown,
    /** Said to screen readers: what the last key did. */
    announced,
    gestures,
    press,
    goToMark,
    leave: () => goTo(null),
    reset: () => settle(null),
    zoomIn: () => settle(zoom(middle, ZOOM)),
    zoomOut: () => settle(zoom(middle, 1 / ZOOM)),
  }
}
