import { formatWhole } from './format-number.ts'
import type { Points } from './types.ts'

/** The last value of the bucket, if that is not finite; else "inside": the server says how many, not which. */
export type NonFiniteKind = 'NaN' | 'Infinity' | '-Infinity' | 'inside'

export interface NonFiniteMark {
  step: number
  kind: NonFiniteKind
  /** Points of the bucket that are not finite, at least 1. */
  count: number
  /** All points of the bucket. */
  of: number
}

/** Buckets with a point that is not finite, in order of step. */
export function nonFiniteMarks({ buckets }: Pick<Points, 'buckets'>): NonFiniteMark[] {
  return buckets.flatMap(({ step, last, count, non_finite }) => {
    const finite = typeof last === 'number' && Number.isFinite(last)
    if (finite && non_finite === 0) return []
    const kind = finite ? 'inside' : (String(last) as NonFiniteKind)
    return [{ step, kind, count: Math.max(non_finite, finite ? 0 : 1), of: count }]
  })
}

export const nonFiniteCount = (marks: readonly NonFiniteMark[]): number =>
  marks.reduce((sum, { count }) => sum + count, 0)

/** Neighbours on the screen, drawn and clicked as one. */
export interface NonFiniteCluster {
  /** Of the first bucket: where a click jumps to. */
  step: number
  /** Of the last bucket. */
  to: number
  /** CSS pixels from the left edge of the plot, of the first bucket. */
  left: number
  /** Not finite points in it. */
  count: number
  /** The kind of all its buckets, or "mixed". */
  kind: NonFiniteKind | 'mixed'
}

/**
 * Joins marks that are less than `gap` pixels from the cluster's start, so that 1,200 NaN buckets are not
 * 1,200 elements.
 * @param place CSS pixels of a step, null where it is not in view
 */
export function clusterMarks(
  marks: readonly NonFiniteMark[],
  place: (step: number) => number | null,
  gap: number,
): NonFiniteCluster[] {
  const clusters: NonFiniteCluster[] = []
  for (const { step, kind, count } of [...marks].sort((a, b) => a.step - b.step)) {
    const left = place(step)
    if (left === null) continue
    const open = clusters.at(-1)
    if (open && Math.abs(left - open.left) < gap) {
      open.to = Math.max(open.to, step)
      open.count += count
      if (open.kind !== kind) open.kind = 'mixed'
    } else {
      clusters.push({ step, to: step, left, count, kind })
    }
  }
  return clusters
}

const KIND_TEXT: Record<NonFiniteCluster['kind'], string> = {
  NaN: 'NaN',
  Infinity: 'Infinity',
  '-Infinity': '-Infinity',
  inside: 'not finite',
  mixed: 'not finite, of several kinds',
}

export const clusterText = ({ step, to, count, kind }: NonFiniteCluster): string =>
  `${step === to ? `step ${formatWhole(step)}` : `steps ${formatWhole(step)} to ${formatWhole(to)}`}: ${formatWhole(count)} ${KIND_TEXT[kind]}`

/** The next bucket after (or before) a step that is not finite; null if there is none. */
export function nextMark(
  marks: readonly NonFiniteMark[],
  from: number | null,
  direction: 1 | -1,
): NonFiniteMark | null {
  const beyond = marks.filter(({ step }) => from === null || (step - from) * direction > 0)
  return beyond.reduce<NonFiniteMark | null>(
    (best, mark) => (best === null || (mark.step - best.step) * direction < 0 ? mark : best),
    null,
  )
}
