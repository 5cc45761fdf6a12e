import type { AttemptView, StageView } from '@limbeck/contracts'
import type { z } from 'zod'
import type { Points } from '../charts/curves/types.ts'
import { CELL, type Grid } from '../charts/heat-map/grid.ts'
import type { HeatMark } from '../charts/heat-map/types.ts'

type Attempt = z.infer<typeof AttemptView>

/** Marks of one kind are listed up to this many; the last entry says how many more there are. */
const LISTED = 200

/** What the guards of a stage saw, by step: bins where the teacher is worse, non-finite losses, clamps, resumes. */
export function guardMarks(
  stage: Pick<StageView, 'attempts'>,
  teacherWorse: Grid | null,
  losses: readonly Points[],
  clamped: readonly Points[],
): HeatMark[] {
  const marks = [
    ...(teacherWorse === null ? [] : worseMarks(teacherWorse)),
    ...losses.flatMap(nonFiniteMarks),
    ...clamped.flatMap(clampMarks),
    ...stage.attempts.flatMap(resumeMarks),
  ]
  return marks.sort((a, b) => a.step - b.step).slice(0, LISTED)
}

/** Only where it begins: a bin that stays worse is one event, not one a row. */
function worseMarks({ steps, bins, values, kinds }: Grid): HeatMark[] {
  const marks: HeatMark[] = []
  for (const [column, step] of steps.entries()) {
    for (let bin = 0; bin < bins; bin++) {
      const worse = (at: number) => kinds[at] === CELL.value && (values[at] ?? 0) > 0
      const at = column * bins + bin
      if (worse(at) && (column === 0 || !worse(at - bins)))
        marks.push({
          step,
          bin,
          kind: 'teacher_worse',
          text: `teacher worse than the student in the bin from t = ${(bin / bins).toFixed(2)}`,
        })
    }
  }
  return marks
}

const nonFiniteMarks = ({ name, buckets }: Points): HeatMark[] =>
  buckets
    .filter(({ non_finite }) => non_finite > 0)
    .map(({ step, non_finite }) => ({
      step,
      kind: 'non_finite',
      text: `${name} not finite${non_finite > 1 ? `, ${non_finite} times up to here` : ''}`,
    }))

/** Where a share of clamped samples rises above zero. */
const clampMarks = ({ name, buckets }: Points): HeatMark[] =>
  buckets
    .filter(({ max }, index) => Number(max) > 0 && !(Number(buckets[index - 1]?.max ?? 0) > 0))
    .map(({ step, max }) => ({
      step,
      kind: 'clamp',
      text: `${name.replace('scaling/clamped_', '')}: ratio at its limit for ${(100 * Number(max)).toFixed(1)} % of the samples`,
    }))

const resumeMarks = ({ epoch, resumed_from_step, message }: Attempt): HeatMark[] =>
  epoch > 1 && resumed_from_step !== null
    ? [
        {
          step: resumed_from_step,
          kind: 'rollback',
          text: `attempt ${epoch} goes on from step ${resumed_from_step}${message ? `; it ended: ${message}` : ''}`,
        },
      ]
    : []
