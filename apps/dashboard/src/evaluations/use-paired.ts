import { useEffect, useState } from 'react'
import { type PairedDifference, pairing } from './paired.ts'
import type { Question } from './questions.ts'

/** Work between two frames, milliseconds: half a frame. */
const SLICE_MS = 8

interface Compared {
  id: string
  verdicts: readonly boolean[]
}

const NONE: ReadonlyMap<string, PairedDifference> = new Map()

/**
 * Paired differences of evaluations from a baseline, by id; filled one by one, in slices between frames.
 * @param questions of the protocol; null while they are not known
 */
export function usePaired(
  results: readonly Compared[],
  baseline: Compared | null,
  questions: readonly Question[] | null,
): ReadonlyMap<string, PairedDifference> {
  const [found, setFound] = useState(NONE)
  useEffect(() => {
    setFound(NONE)
    if (baseline === null || questions === null) return
    const waiting = results.filter(
      ({ id, verdicts }) => id !== baseline.id && verdicts.length === questions.length,
    )
    if (baseline.verdicts.length !== questions.length) return
    const made = new Map<string, PairedDifference>()
    let shown = 0
    let current: ReturnType<typeof pairing> | null = null
    let timer: ReturnType<typeof setTimeout>
    const work = () => {
      const until = performance.now() + SLICE_MS
      while (performance.now() < until) {
        const one = waiting[0]
        if (one === undefined) break
        current ??= pairing(questions, one.verdicts, baseline.verdicts)
        const { done, value } = current.next()
        if (!done) continue
        made.set(one.id, value)
        waiting.shift()
        current = null
      }
      if (made.size > shown) setFound(new Map(made))
      shown = made.size
      if (waiting.length > 0) timer = setTimeout(work)
    }
    timer = setTimeout(work)
    return () => clearTimeout(timer)
  }, [results, baseline, questions])
  return found
}
