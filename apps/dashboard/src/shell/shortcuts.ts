import { useEffect } from 'react'

export const SHORTCUTS: readonly [keys: string, what: string][] = [
  ['/', 'search or choose series'],
  ['g r', 'runs'],
  ['z', 'in a chart: all steps'],
  ['← →', 'in a chart: the cursor, a step'],
  ['+ −', 'in a chart: zoom'],
  ['n', 'in a chart: the next event or value that is not finite'],
  ['Enter', 'in the heat map: pick the cell'],
  ['?', 'this list'],
]

const typing = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))

/** Keys of the whole page; a chart that has the focus takes its own first. */
export function useShortcuts({ help, runs }: { help: () => void; runs: () => void }): void {
  useEffect(() => {
    let before = ''
    const press = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event.target))
        return
      const sequence = `${before}${event.key}`
      before = event.key === 'g' ? 'g' : ''
      if (event.key === '?') help()
      else if (sequence === 'gr') runs()
      else if (event.key === '/') {
        const field = document.querySelector<HTMLInputElement>(
          '[data-shortcut="search"] input, input[data-shortcut="search"]',
        )
        if (field === null) return
        event.preventDefault()
        field.focus()
      }
    }
    window.addEventListener('keydown', press)
    return () => window.removeEventListener('keydown', press)
  }, [help, runs])
}
