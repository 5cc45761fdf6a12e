import { type ReactNode, useEffect, useRef, useState } from 'react'
import classes from './curves.module.css'

/**
 * Mounts its children only within one viewport of the screen, and takes them away beyond it: a page of a hundred
 * charts holds the ten or so that can be seen. The placeholder keeps the height that they had.
 */
export function Lazy({
  height,
  label,
  children,
}: {
  /** CSS pixels of the placeholder until the children were seen once. */
  height: number
  /** What will stand here; shown, so that a search in the page finds it. */
  label: string
  children: ReactNode
}) {
  const host = useRef<HTMLDivElement>(null)
  const [near, setNear] = useState(false)
  const measured = useRef(height)

  useEffect(() => {
    const element = host.current
    if (!element) return
    const observer = new IntersectionObserver(
      (entries) => {
        const last = entries.at(-1)
        if (!last) return
        // Taking away what has the focus would throw a keyboard user back to the top of the page.
        if (!last.isIntersecting && element.contains(document.activeElement)) return
        if (!last.isIntersecting && last.boundingClientRect.height > 0)
          measured.current = Math.max(height, last.boundingClientRect.height)
        setNear(last.isIntersecting)
      },
      { rootMargin: '100% 0px' },
    )
    observer.observe(element)
    return () => observer.disconnect()
  }, [height])

  return (
    <div ref={host} style={{ minHeight: near ? height : measured.current }}>
      {near ? children : <span className={classes.note}>{label}</span>}
    </div>
  )
}
