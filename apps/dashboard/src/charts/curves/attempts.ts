/** A stretch of neighbouring buckets of one attempt; indices, both included. */
export interface AttemptRun {
  attempt: number
  from: number
  to: number
}

/**
 * Stretches of the same attempt in order. An attempt can come twice: while a newer one writes over the steps of an
 * older, the older one's last steps still stand behind it.
 */
export function attemptRuns(attempts: readonly number[]): AttemptRun[] {
  const runs: AttemptRun[] = []
  for (const [index, attempt] of attempts.entries()) {
    const open = runs.at(-1)
    if (open && open.attempt === attempt) open.to = index
    else runs.push({ attempt, from: index, to: index })
  }
  return runs
}

/** Indices of the two values that a dotted line joins. */
export interface Join {
  from: number
  to: number
}

/** From the last value of a stretch to the first of the next; none where either has no finite value. */
export function attemptJoins(runs: readonly AttemptRun[], values: readonly (number | null)[]): Join[] {
  const joins: Join[] = []
  for (const [index, run] of runs.entries()) {
    const next = runs[index + 1]
    if (!next) break
    let from = run.to
    while (from >= run.from && values[from] === null) from--
    let to = next.from
    while (to <= next.to && values[to] === null) to++
    if (from >= run.from && to <= next.to) joins.push({ from, to })
  }
  return joins
}
