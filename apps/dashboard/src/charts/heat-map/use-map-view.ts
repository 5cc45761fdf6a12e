import { useCallback, useEffect, useRef, useState } from 'react'
import type { StepWindow } from '../curves/window.ts'

/** Milliseconds without another turn of the wheel after which it counts as done. */
const SETTLED = 150

export interface MapView {
  window: StepWindow | null
  /** Shown at once, reported once no other follows: others draw anew, and ask the server, only for the last one. */
  preview: (window: StepWindow | null) => void
  /** Shown and reported. */
  settle: (window: StepWindow | null) => void
}

/** The steps in view: what the caller gives, or what the user is at, until the caller has taken it over. */
export function useMapView(
  given: StepWindow | null,
  report: ((window: StepWindow | null) => void) | undefined,
): MapView {
  const [live, setLive] = useState<{ window: StepWindow | null } | null>(null)
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null)
  const latest = useRef(report)
  latest.current = report

  const cancel = useCallback(() => {
    if (timer.current !== null) clearTimeout(timer.current)
    timer.current = null
  }, [])
  const settle = useCallback(
    (window: StepWindow | null) => {
      cancel()
      setLive({ window })
      latest.current?.(window)
    },
    [cancel],
  )
  const preview = useCallback(
    (window: StepWindow | null) => {
      cancel()
      setLive({ window })
      timer.current = setTimeout(() => {
        timer.current = null
        latest.current?.(window)
      }, SETTLED)
    },
    [cancel],
  )

  const [from, to] = [given?.from, given?.to]
  // biome-ignore lint/correctness/useExhaustiveDependencies: runs when the caller's window has changed
  useEffect(() => {
    // While the wheel turns, the answer to an earlier report would throw the view back.
    if (timer.current === null) setLive(null)
  }, [from, to])
  useEffect(() => cancel, [cancel])
  return { window: live === null ? given : live.window, preview, settle }
}
