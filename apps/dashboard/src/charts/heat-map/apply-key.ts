import { type StepWindow, zoomAround } from '../curves/window.ts'
import { columnNear, type Grid } from './grid.ts'
import type { MapKey } from './keys.ts'
import { nextMark, type PlacedMark } from './marks.ts'
import type { GridPlace } from './readout.ts'
import { revealing } from './view.ts'

export interface KeyState {
  grid: Pick<Grid, 'steps' | 'bins'>
  /** The cell cursor; null before the first key. */
  place: GridPlace | null
  /** Step of the linked cursor: where the cell cursor comes up. */
  cursor: number | null
  window: StepWindow | null
  extent: StepWindow
  marks: readonly PlacedMark[]
}

/** What is left out stays as it is. */
export interface KeyEffect {
  place?: GridPlace | null
  window?: StepWindow | null
  picked?: GridPlace
}

export function applyMapKey(key: MapKey, state: KeyState): KeyEffect {
  const { grid, window, extent } = state
  const lastColumn = grid.steps.length - 1
  if (lastColumn < 0 || grid.bins === 0) return {}
  const start = (): GridPlace => ({
    column: (state.cursor === null ? null : columnNear(grid, state.cursor)) ?? lastColumn,
    bin: Math.floor(grid.bins / 2),
  })
  const goTo = (column: number, bin: number): KeyEffect => {
    const place = { column: clamp(column, lastColumn), bin: clamp(bin, grid.bins - 1) }
    const next = revealing(window, grid.steps[place.column] ?? 0)
    return next === window ? { place } : { place, window: next }
  }
  const at = state.place ?? start()
  switch (key.kind) {
    case 'move':
      // The first key shows where the cursor is, rather than moving it from a place nobody saw.
      return state.place === null ? goTo(at.column, at.bin) : goTo(at.column + key.columns, at.bin + key.bins)
    case 'end':
      return goTo(key.to === 'first' ? 0 : lastColumn, at.bin)
    case 'zoom':
      return { window: zoomAround(window, extent, grid.steps[at.column] ?? 0, key.factor) }
    case 'pick':
      return { place: at, picked: at }
    case 'reset':
      return { window: null }
    case 'mark': {
      const from = state.place === null ? null : (grid.steps[state.place.column] ?? null)
      const found = nextMark(
        state.marks.filter((one) => one.column !== state.place?.column),
        from,
        key.direction,
      )
      return found?.column == null ? {} : goTo(found.column, found.mark.bin ?? at.bin)
    }
    case 'leave':
      return { place: null }
  }
}

const clamp = (value: number, last: number): number => Math.min(Math.max(value, 0), last)
