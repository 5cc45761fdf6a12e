import { type RefObject, useEffect, useState } from 'react'

export interface CanvasSize {
  /** CSS pixels; 0 before the first measurement. */
  width: number
  /** Device pixels a CSS pixel: another on another screen, and at another zoom of the page. */
  ratio: number
  /** CSS pixels of the root's font: labels need twice the room where people read twice as large. */
  em: number
}

/** An element's width and what else a canvas in it depends on, kept up to date. */
export function useCanvasSize(ref: RefObject<HTMLElement | null>): CanvasSize {
  const [size, setSize] = useState<CanvasSize>({ width: 0, ratio: 1, em: 16 })
  useEffect(() => {
    const element = ref.current
    if (!element) return
    const measure = () => {
      const em = Number.parseFloat(getComputedStyle(document.documentElement).fontSize) || 16
      const next = { width: element.clientWidth, ratio: window.devicePixelRatio || 1, em }
      setSize((before) =>
        before.width === next.width && before.ratio === next.ratio && before.em === em ? before : next,
      )
    }
    measure()
    const observer = new ResizeObserver(measure)
    observer.observe(element)
    // Moving to another screen resizes nothing; the query has to be made anew for each ratio.
    let query = window.matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`)
    const changed = () => {
      measure()
      query = window.matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`)
      query.addEventListener('change', changed, { once: true })
    }
    query.addEventListener('change', changed, { once: true })
    return () => {
      observer.disconnect()
      query.removeEventListener('change', changed)
    }
  }, [ref])
  return size
}
