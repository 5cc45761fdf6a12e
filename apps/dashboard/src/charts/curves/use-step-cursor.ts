import { useCallback, useEffect, useRef, useState } from 'react'

/**
 * The cursor's step: the caller's where one is given (null too), else the chart's own. Moves are reported once a frame
 * and only where the step changes: a pointer moves more often than that, and each report renders all linked charts.
 */
export function useStepCursor(
  given: number | null | undefined,
  report: ((step: number | null) => void) | undefined,
): [step: number | null, move: (step: number | null) => void] {
  const [own, setOwn] = useState<number | null>(null)
  const step = given === undefined ? own : given
  const latest = useRef({ step, report })
  latest.current = { step, report }
  const next = useRef<number | null>(null)
  const frame = useRef(0)

  const move = useCallback((to: number | null) => {
    next.current = to
    if (frame.current !== 0) return
    frame.current = requestAnimationFrame(() => {
      frame.current = 0
      if (next.current === latest.current.step) return
      setOwn(next.current)
      latest.current.report?.(next.current)
    })
  }, [])
  useEffect(
    () => () => {
      cancelAnimationFrame(frame.current)
      frame.current = 0
    },
    [],
  )
  return [step, move]
}
