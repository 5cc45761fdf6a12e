import { cellValue, columnNear } from './grid.ts'
import type { Statistic } from './profile.ts'

/** Shares of several loss terms' effective weights in each bin of t. */
export interface Lead {
  bins: number
  terms: { key: string; label: string }[]
  /** By term, then bin: 0 to 1, in each bin adding up to 1; null where the bin has no shares. */
  shares: (number | null)[][]
  /** Why a bin has no shares, by bin; null where it has. */
  reasons: (string | null)[]
}

/** Neighbouring bins in which one term has the largest share; t from and to, 0 to 1. */
export interface LeadSpan {
  from: number
  to: number
  key: string
  label: string
}

/**
 * The shares at the row of each term that is nearest to the step.
 * Null where a term has no row there, or the terms have different bins. Weights are not negative: one that is, or is
 * missing or not finite, takes its bin's shares away, since shares of the rest would say that it has none.
 */
export function leadAt(terms: readonly Statistic[], step: number): Lead | null {
  const bins = terms[0]?.grid.bins ?? 0
  const columns = terms.map(({ grid }) => columnNear(grid, step))
  if (bins === 0 || columns.includes(null) || terms.some(({ grid }) => grid.bins !== bins)) return null
  const shares = terms.map((): (number | null)[] => new Array<number | null>(bins).fill(null))
  const reasons = new Array<string | null>(bins).fill(null)
  for (let bin = 0; bin < bins; bin++) {
    const weights = terms.map(({ grid }, term) => cellValue(grid, columns[term] ?? -1, bin))
    const bad = weights.findIndex((weight) => typeof weight !== 'number' || weight < 0)
    const sum = bad < 0 ? weights.reduce<number>((total, weight) => total + Number(weight), 0) : 0
    if (bad >= 0) reasons[bin] = `${terms[bad]?.label}: ${weights[bad] ?? 'missing'}`
    else if (sum === 0) reasons[bin] = 'all weights are zero'
    else for (const [term, weight] of weights.entries()) share(shares, term, bin, Number(weight) / sum)
  }
  return { bins, terms: terms.map(({ key, label }) => ({ key, label })), shares, reasons }
}

function share(shares: (number | null)[][], term: number, bin: number, value: number): void {
  const row = shares[term]
  if (row) row[bin] = value
}

/** Who leads from where to where, ascending in t. At a tie the term that comes first; bins without shares leave gaps. */
export function leadSpans({ bins, terms, shares, reasons }: Lead): LeadSpan[] {
  const spans: LeadSpan[] = []
  for (let bin = 0; bin < bins; bin++) {
    if (reasons[bin] !== null) continue
    const at = (term: number) => shares[term]?.[bin] ?? 0
    const leader = terms[terms.reduce((best, _, term) => (at(term) > at(best) ? term : best), 0)]
    const open = spans.at(-1)
    if (!leader) continue
    if (open?.key === leader.key && open.to === bin / bins) open.to = (bin + 1) / bins
    else spans.push({ from: bin / bins, to: (bin + 1) / bins, ...leader })
  }
  return spans
}

/** "t 0.00–0.15 output KD, 0.15–0.85 task": the picture in a sentence. */
export const leadText = (spans: readonly LeadSpan[]): string =>
  spans.length === 0
    ? 'no bin has shares'
    : `t ${spans.map(({ from, to, label }) => `${from.toFixed(2)}–${to.toFixed(2)} ${label}`).join(', ')}`

/**
 * The outline of each term's area as an SVG path, in a box of 1 by 1 with t to the right and the first term at the
 * bottom. Bins are steps, not slopes: between two bins nothing was measured.
 */
export function leadAreas({ bins, terms, shares, reasons }: Lead): string[] {
  const base = new Array<number>(bins).fill(0)
  return terms.map((_, term) => {
    const runs: string[] = []
    for (const [first, last] of runsOf(reasons, true)) {
      const [upper, lower]: [string[], string[]] = [[], []]
      for (let bin = first; bin <= last; bin++) {
        const from = base[bin] ?? 0
        const to = Math.min(1, from + (shares[term]?.[bin] ?? 0))
        const [left, right] = [place(bin / bins), place((bin + 1) / bins)]
        upper.push(`${left} ${place(1 - to)}L${right} ${place(1 - to)}`)
        lower.unshift(`${right} ${place(1 - from)}L${left} ${place(1 - from)}`)
        base[bin] = to
      }
      runs.push(`M${upper.join('L')}L${lower.join('L')}Z`)
    }
    return runs.join('')
  })
}

/** The bins without shares, as `leadAreas` has the others. */
export const leadGaps = ({ bins, reasons }: Lead): string =>
  runsOf(reasons, false)
    .map(([first, last]) => `M${place(first / bins)} 0H${place((last + 1) / bins)}V1H${place(first / bins)}Z`)
    .join('')

/** First and last bin of each stretch with (without) shares. */
function runsOf(reasons: Lead['reasons'], shared: boolean): [number, number][] {
  const runs: [number, number][] = []
  for (const [bin, reason] of reasons.entries()) {
    if ((reason === null) !== shared) continue
    const open = runs.at(-1)
    if (open && open[1] === bin - 1) open[1] = bin
    else runs.push([bin, bin])
  }
  return runs
}

const place = (share: number): string => String(Number(share.toFixed(5)))
