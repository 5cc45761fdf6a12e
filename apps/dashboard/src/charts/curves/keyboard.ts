/** What a key does in a focused chart. */
export type ChartKey =
  | { kind: 'move'; by: number }
  | { kind: 'end'; to: 'first' | 'last' }
  | { kind: 'zoom'; factor: number }
  | { kind: 'reset' }
  | { kind: 'jump'; direction: 1 | -1 }
  | { kind: 'leave' }

/** Keys as `aria-keyshortcuts` names them. */
export const CHART_SHORTCUTS = 'ArrowLeft ArrowRight Home End + - Z N Shift+N Escape'

/** Said to screen readers after the name. */
export const CHART_HINT =
  'Arrow keys move the cursor (with Shift by ten), plus and minus zoom, z shows everything, n goes to the next value that is not finite'

/** null: not ours. With Control, Alt or Meta a key is the browser's. */
export function chartKey(event: {
  key: string
  shiftKey: boolean
  ctrlKey: boolean
  altKey: boolean
  metaKey: boolean
}): ChartKey | null {
  if (event.ctrlKey || event.altKey || event.metaKey) return null
  const far = event.shiftKey ? 10 : 1
  switch (event.key) {
    case 'ArrowLeft':
    case 'ArrowDown':
      return { kind: 'move', by: -far }
    case 'ArrowRight':
    case 'ArrowUp':
      return { kind: 'move', by: far }
    case 'PageDown':
      return { kind: 'move', by: -10 }
    case 'PageUp':
      return { kind: 'move', by: 10 }
    case 'Home':
      return { kind: 'end', to: 'first' }
    case 'End':
      return { kind: 'end', to: 'last' }
    case '+':
    case '=':
      return { kind: 'zoom', factor: 0.5 }
    case '-':
      return { kind: 'zoom', factor: 2 }
    case 'z':
    case 'Z':
      return { kind: 'reset' }
    case 'n':
      return { kind: 'jump', direction: 1 }
    case 'N':
      return { kind: 'jump', direction: -1 }
    case 'Escape':
      return { kind: 'leave' }
    default:
      return null
  }
}
