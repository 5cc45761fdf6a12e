import type { EvaluationView } from '@limbeck/contracts'
import { type ExtraScore, scorerLabel } from './extra-score.ts'
import { type Interval, intervalText, scoreText, shareText } from './numbers.ts'

/** A number that evaluations of one protocol have in common. */
export interface Measure {
  key: string
  label: string
  /** A share of correct images, 0 to 1; others have scales of their own. */
  share: boolean
}

export interface ScorePoint {
  id: string
  /** What is joined to a line. */
  role: string
  /** Milliseconds since 1970, or training steps. */
  x: number
  value: number
  /** Null for distances between sets. */
  interval: Interval | null
  label: string
}

const OVERALL: Measure = { key: 'overall', label: 'overall', share: true }
const extraKey = ({ scorer, name }: ExtraScore): string => `extra ${scorer} ${name}`

/** What can be shown over these evaluations. Scores under different names have another backbone or reference: apart. */
export function measuresOf(evaluations: readonly EvaluationView[]): Measure[] {
  const tags = [...new Set(evaluations.flatMap(({ per_tag }) => Object.keys(per_tag)))].sort()
  const extra = new Map(
    evaluations.flatMap((one) =>
      one.extra
        .filter(({ value }) => value !== null)
        .map((score): [string, Measure] => [
          extraKey(score),
          { key: extraKey(score), label: `${scorerLabel(score.scorer)}: ${score.name}`, share: false },
        ]),
    ),
  )
  return [
    OVERALL,
    ...(evaluations.some(({ held_out }) => held_out !== null)
      ? [{ key: 'held out', label: 'held out', share: true }]
      : []),
    ...tags.map((tag) => ({ key: `tag ${tag}`, label: tag, share: true })),
    ...extra.values(),
  ]
}

function figureOf(
  one: EvaluationView,
  { key }: Measure,
): { value: number; interval: Interval | null } | null {
  if (key === 'overall') return { value: one.overall, interval: one.interval }
  const score = key === 'held out' ? one.held_out : key.startsWith('tag ') ? one.per_tag[key.slice(4)] : null
  if (score) return { value: score.score, interval: score.interval }
  const extra = one.extra.find((candidate) => extraKey(candidate) === key)
  return extra === undefined || extra.value === null ? null : { value: extra.value, interval: extra.interval }
}

/**
 * Points by role, each role's in ascending x.
 * @param xOf null: this evaluation has no place on the axis
 */
export function pointsOf(
  evaluations: readonly EvaluationView[],
  measure: Measure,
  xOf: (evaluation: EvaluationView) => number | null,
): { points: ScorePoint[]; without: number } {
  const points = evaluations.flatMap((one): ScorePoint[] => {
    const figure = figureOf(one, measure)
    const x = xOf(one)
    if (figure === null || x === null) return []
    const text = measure.share ? shareText : scoreText
    const range = figure.interval === null ? 'no interval' : intervalText(figure.interval, text)
    return [
      {
        id: one.id,
        role: one.role,
        x,
        ...figure,
        label: `${one.role}, ${one.stage_name}: ${text(figure.value)} (${range})`,
      },
    ]
  })
  return { points: points.sort((a, b) => a.x - b.x), without: evaluations.length - points.length }
}

/** Why a score is missing, each reason once with how often: nothing is left out silently. */
export function notRunReasons(evaluations: readonly EvaluationView[]): string[] {
  const counts = new Map<string, number>()
  for (const { extra } of evaluations)
    for (const score of extra)
      if (score.value === null) {
        const text = `${scorerLabel(score.scorer)} not run: ${score.not_run ?? 'no reason was given'}`
        counts.set(text, (counts.get(text) ?? 0) + 1)
      }
  return [...counts].map(([text, count]) => `${text} (${count} of ${evaluations.length})`)
}

/** The point whose x is nearest; of several at one x the first. Null without points. */
export function nearestPoint(points: readonly ScorePoint[], x: number): ScorePoint | null {
  let best: ScorePoint | null = null
  for (const point of points) if (best === null || Math.abs(point.x - x) < Math.abs(best.x - x)) best = point
  return best
}
