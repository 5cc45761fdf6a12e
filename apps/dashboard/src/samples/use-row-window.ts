import { type RefObject, useEffect, useState } from 'react'
import { rowWindow } from './row-window.ts'

/** Follows the scrolling of an element; renders only when other rows come into view. `rowHeight` in CSS pixels. */
export function useRowWindow(scroller: RefObject<HTMLElement | null>, rowHeight: number, count: number) {
  const [shown, setShown] = useState({ from: 0, to: 0 })
  useEffect(() => {
    const element = scroller.current
    if (element === null) return
    const measure = () =>
      setShown((before) => {
        const now = rowWindow(element.scrollTop, element.clientHeight, rowHeight, count)
        return now.from === before.from && now.to === before.to ? before : now
      })
    const resize = new ResizeObserver(measure)
    resize.observe(element)
    element.addEventListener('scroll', measure, { passive: true })
    measure()
    return () => {
      resize.disconnect()
      element.removeEventListener('scroll', measure)
    }
  }, [scroller, rowHeight, count])
  return shown
}
