import type { ChartKey } from './keyboard.ts'
import { type NonFiniteMark, nextMark } from './non-finite.ts'
import { nearestIndex } from './readout.ts'
import { type StepWindow, zoomAround } from './window.ts'

/** What a key has to know about the chart. */
export interface KeyContext {
  /** Where the cursor stops, ascending. */
  steps: readonly number[]
  cursor: number | null
  window: StepWindow | null
  /** First and last step of the whole series. */
  extent: StepWindow
  nonFinite: readonly NonFiniteMark[]
}

/** What changes; what is left out stays. */
export interface KeyEffect {
  cursor?: number | null
  window?: StepWindow | null
  /** The cursor's new step was jumped to. */
  jumped?: boolean
}

export function applyKey(key: ChartKey, { steps, cursor, window, extent, nonFinite }: KeyContext): KeyEffect {
  const [first, last] = [steps[0], steps.at(-1)]
  if (first === undefined || last === undefined) return key.kind === 'reset' ? { window: null } : {}
  switch (key.kind) {
    case 'move': {
      // Without a cursor the first key shows it at the newest value.
      if (cursor === null) return { cursor: last }
      const index = Math.min(Math.max(nearestIndex(steps, cursor) + key.by, 0), steps.length - 1)
      return { cursor: steps[index] ?? last }
    }
    case 'end':
      return { cursor: key.to === 'first' ? first : last }
    case 'zoom': {
      const { from, to } = window ?? { from: first, to: last }
      return { window: zoomAround({ from, to }, extent, cursor ?? (from + to) / 2, key.factor) }
    }
    case 'reset':
      return { window: null }
    case 'jump': {
      const found = nextMark(nonFinite, cursor, key.direction)
      return found ? { cursor: found.step, jumped: true } : {}
    }
    case 'leave':
      return { cursor: null }
  }
}
