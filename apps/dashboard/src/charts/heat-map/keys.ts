/** What a key does in a focused heat map. */
export type MapKey =
  | { kind: 'move'; columns: number; bins: number }
  | { kind: 'end'; to: 'first' | 'last' }
  | { kind: 'zoom'; factor: number }
  | { kind: 'pick' }
  | { kind: 'reset' }
  | { kind: 'mark'; direction: 1 | -1 }
  | { kind: 'leave' }

/** Keys as `aria-keyshortcuts` names them. */
export const MAP_SHORTCUTS =
  'ArrowLeft ArrowRight ArrowUp ArrowDown Home End PageUp PageDown Enter + - 0 N Shift+N Escape'

export const MAP_HINT =
  'Arrow keys move over the cells (with Shift by ten), Enter picks one, Home and End go to the first and last step, plus and minus zoom, 0 shows everything, n goes to the next event. With the mouse: click picks, drag zooms, Shift and drag pans, Control and wheel zoom, double click shows everything.'

/** null: not ours. With Control, Alt or Meta a key is the browser's. */
export function mapKey(event: {
  key: string
  shiftKey: boolean
  ctrlKey: boolean
  altKey: boolean
  metaKey: boolean
}): MapKey | null {
  if (event.ctrlKey || event.altKey || event.metaKey) return null
  const far = event.shiftKey ? 10 : 1
  switch (event.key) {
    case 'ArrowLeft':
      return { kind: 'move', columns: -far, bins: 0 }
    case 'ArrowRight':
      return { kind: 'move', columns: far, bins: 0 }
    case 'ArrowUp':
      return { kind: 'move', columns: 0, bins: far }
    case 'ArrowDown':
      return { kind: 'move', columns: 0, bins: -far }
    case 'PageUp':
      return { kind: 'move', columns: 0, bins: 10 }
    case 'PageDown':
      return { kind: 'move', columns: 0, bins: -10 }
    case 'Home':
      return { kind: 'end', to: 'first' }
    case 'End':
      return { kind: 'end', to: 'last' }
    case 'Enter':
    case ' ':
      return { kind: 'pick' }
    case '+':
    case '=':
      return { kind: 'zoom', factor: 0.5 }
    case '-':
      return { kind: 'zoom', factor: 2 }
    case '0':
    case 'z':
      return { kind: 'reset' }
    case 'n':
      return { kind: 'mark', direction: 1 }
    case 'N':
      return { kind: 'mark', direction: -1 }
    case 'Escape':
      return { kind: 'leave' }
    default:
      return null
  }
}
