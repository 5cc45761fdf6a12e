/** Votes on pairs of models: who is shown what on which side, and how strong each model is. */

import { createHash } from 'node:crypto'

/** Wins of row over column; ties apart. Both square. */
export interface Tally {
  readonly wins: readonly (readonly number[])[]
  readonly ties: readonly (readonly number[])[]
}

export interface Strength {
  /** Log-strength, mean 0. */
  readonly value: number
  readonly interval: readonly [number, number]
}

/** Half a win each way for every pair that was compared: a model that never lost has a finite strength. */
const PRIOR = 0.5
const STEPS = 10_000
const REST = 1e-10
/** Two-sided 95 % of the normal distribution. */
const Z = 1.959963984540054

/**
 * Bradley-Terry strengths by Hunter's MM iteration (2004), a tie as half a win for each; intervals from the Fisher
 * information under the constraint that the strengths sum to 0. Null where comparisons do not connect all models.
 */
export function bradleyTerry({ wins, ties }: Tally): Strength[] | null {
  const models = wins.map((_, index) => index)
  const met = (i: number, j: number): number => at(wins, i, j) + at(wins, j, i) + at(ties, i, j)
  if (!connected(models, (i, j) => met(i, j) > 0)) return null
  const games = models.map((i) => models.map((j) => (i !== j && met(i, j) > 0 ? met(i, j) + 2 * PRIOR : 0)))
  const won = models.map((i) =>
    sum(models.map((j) => (at(games, i, j) > 0 ? at(wins, i, j) + at(ties, i, j) / 2 + PRIOR : 0))),
  )
  let strengths = models.map(() => 1)
  for (let step = 0; step < STEPS; step++) {
    const now = strengths
    const raw = models.map(
      (i) => (won[i] ?? 0) / sum(models.map((j) => at(games, i, j) / ((now[i] ?? 1) + (now[j] ?? 1)))),
    )
    const scale = Math.exp(sum(raw.map(Math.log)) / raw.length)
    const next = raw.map((value) => value / scale)
    const moved = Math.max(...next.map((value, i) => Math.abs(Math.log(value / (now[i] ?? 1)))))
    strengths = next
    if (moved < REST) break
  }
  const logs = strengths.map(Math.log)
  const information = models.map((i) =>
    models.map((j) => {
      if (i !== j) return -at(games, i, j) * chance(logs, i, j) * chance(logs, j, i)
      return sum(models.map((k) => at(games, i, k) * chance(logs, i, k) * chance(logs, k, i)))
    }),
  )
  // Singular along (1, ..., 1), which the constraint takes out: added for the inverse, subtracted after.
  const share = 1 / models.length
  const inverse = inverted(information.map((row) => row.map((value) => value + share)))
  return logs.map((value, i) => {
    const half = Z * Math.sqrt(Math.max(0, at(inverse, i, i) - share))
    return { value, interval: [value - half, value + half] }
  })
}

/** Whether a voter sees the first of a sorted pair on the right: a coin of their own for every picture. */
export const swapped = (voter: string, pair: readonly [string, string], place: number): boolean =>
  (bytesOf('side', voter, ...pair, String(place))[0] ?? 0) % 2 === 1

/** Where a voter begins among `total` pictures, to go round from there: everybody starts somewhere else. */
export const startOf = (voter: string, total: number): number =>
  bytesOf('start', voter).readUInt32BE(0) % Math.max(1, total)

const bytesOf = (...parts: string[]): Buffer => createHash('sha256').update(JSON.stringify(parts)).digest()

const at = (table: readonly (readonly number[])[], i: number, j: number): number => table[i]?.[j] ?? 0
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
const chance = (logs: readonly number[], i: number, j: number): number =>
  1 / (1 + Math.exp((logs[j] ?? 0) - (logs[i] ?? 0)))

function connected(models: readonly number[], met: (i: number, j: number) => boolean): boolean {
  const reached = new Set(models.slice(0, 1))
  for (const one of reached) for (const other of models) if (met(one, other)) reached.add(other)
  return reached.size === models.length
}

/** Gauss-Jordan with the largest pivot; the matrix is positive definite and at most 10 wide. */
function inverted(matrix: readonly (readonly number[])[]): number[][] {
  const size = matrix.length
  const rows = matrix.map((row, i) => [...row, ...row.map((_, j) => (i === j ? 1 : 0))])
  for (let column = 0; column < size; column++) {
    const pivot = rows
      .slice(column)
      .reduce((best, row) => (Math.abs(row[column] ?? 0) > Math.abs(best[column] ?? 0) ? row : best))
    const place = rows.indexOf(pivot)
    ;[rows[column], rows[place]] = [pivot, rows[column] ?? pivot]
    const scale = pivot[column] ?? 1
    rows[column] = pivot.map((value) => value / scale)
    for (const [i, row] of rows.entries()) {
      const factor = row[column] ?? 0
      if (i !== column) rows[i] = row.map((value, j) => value - factor * (rows[column]?.[j] ?? 0))
    }
  }
  return rows.map((row) => row.slice(size))
}
