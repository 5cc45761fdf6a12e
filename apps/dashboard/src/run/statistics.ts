import { difference, type Grid } from '../charts/heat-map/grid.ts'

/** What a statistic over t shows, and how it looks when all is well. */
export interface StatisticText {
  label: string
  sentence: string
  healthy: string
}

const KD = (whose: string) =>
  `Where the student disagrees with the teacher, ${whose}. Rows are noise levels (t = 0 data, t = 1 noise), columns are steps.`

/** By series name; what is not listed is shown under its own name. */
const TEXTS: Record<string, StatisticText> = {
  'validation/output_kd_by_t': {
    label: 'output KD (held out)',
    sentence: KD('in its velocities over held-out data'),
    healthy:
      'both ends darken steadily; a bright row that stays is a noise level that the student cannot learn.',
  },
  'validation/feature_kd_by_t': {
    label: 'feature KD (held out)',
    sentence: KD('in its last features over held-out data'),
    healthy: 'darkens everywhere; it falls more slowly than output KD.',
  },
  'validation/task_by_t': {
    label: 'task loss (held out)',
    sentence: 'Error against held-out data by noise level.',
    healthy: 'falls everywhere and is lowest in the middle; both ends stay brighter.',
  },
  'validation/teacher_task_by_t': {
    label: 'teacher’s task loss',
    sentence: 'Error of the teacher itself against the same held-out data.',
    healthy: 'does not change with the step: it is the height that the student is to reach.',
  },
  'training/task_by_t': {
    label: 'task loss (training)',
    sentence: 'Mean task loss of the training batches since the last row.',
    healthy: 'falls like the held-out one; falling alone is overfitting.',
  },
  'training/output_kd_by_t': {
    label: 'output KD (training)',
    sentence: KD('in its velocities, over the training batches since the last row'),
    healthy: 'darkens like the held-out one.',
  },
  'training/feature_kd_by_t': {
    label: 'feature KD (training)',
    sentence: KD('in its last features, over the training batches since the last row'),
    healthy: 'darkens like the held-out one.',
  },
  'scaling/ratio_output_by_t': {
    label: 'ratio task : output KD',
    sentence: 'The factor by which output KD is brought to the size of the task loss, per bin.',
    healthy: 'drifts slowly and stays off the limits; a row at a limit is clamped.',
  },
  'scaling/ratio_feature_by_t': {
    label: 'ratio task : feature KD',
    sentence: 'The factor by which feature KD is brought to the size of the task loss, per bin.',
    healthy: 'drifts slowly and stays off the limits.',
  },
  'scaling/weight_task_by_t': {
    label: 'weight of the task loss',
    sentence: 'Effective weight of the data term.',
    healthy: 'highest in the middle with timestep-aware scaling, the same everywhere without.',
  },
  'scaling/weight_output_by_t': {
    label: 'weight of output KD',
    sentence: 'Effective weight of output KD, ratio included.',
    healthy: 'highest at both ends with timestep-aware scaling.',
  },
  'scaling/weight_feature_by_t': {
    label: 'weight of feature KD',
    sentence: 'Effective weight of feature KD, ratio included.',
    healthy: 'highest at both ends with timestep-aware scaling.',
  },
  'gradient/task_by_t': {
    label: 'pull of the task loss',
    sentence: 'Weight times root of the task loss: how strongly the data term pulls at a noise level.',
    healthy: 'of the size of the pull of output KD in the middle of t.',
  },
  'gradient/output_by_t': {
    label: 'pull of output KD',
    sentence: 'Weight times root of output KD: how strongly the teacher pulls at a noise level.',
    healthy: 'leads at both ends of t.',
  },
  'validation/teacher_worse_by_t': {
    label: 'teacher worse than student',
    sentence: '1 where the teacher’s held-out error is above the student’s.',
    healthy: '0 everywhere; a row of 1 is a noise level where the teacher teaches nothing.',
  },
}

/** Not logged: computed here from two that are. */
export const GAP = 'gap'
const GAP_OF = ['validation/task_by_t', 'validation/teacher_task_by_t'] as const

export const textOf = (name: string): StatisticText =>
  name === GAP
    ? {
        label: 'gap to the teacher',
        sentence: 'Held-out task loss of the student less the teacher’s, by noise level.',
        healthy: 'shrinks towards zero from above; below zero the student is better than its teacher there.',
      }
    : (TEXTS[name] ?? {
        label: name,
        sentence: `${name} by position (up) and step.`,
        healthy: 'no expectation is known for it.',
      })

/** So many of the texts above stand before the gap. */
const TELLING = 3

/** Statistics to choose from, the telling ones first. */
export function statisticNames(logged: readonly string[]): string[] {
  const overT = logged.filter((name) => !name.startsWith('discriminator/'))
  const known = Object.keys(TEXTS).filter((name) => overT.includes(name))
  const gap = GAP_OF.every((name) => overT.includes(name)) ? [GAP] : []
  const before = known.filter((name) => Object.keys(TEXTS).indexOf(name) < TELLING)
  const unknown = overT.filter((name) => !(name in TEXTS)).sort()
  return [...before, ...gap, ...known.slice(before.length), ...unknown]
}

/** Series that a statistic is made of. */
export const sourcesOf = (name: string): readonly string[] => (name === GAP ? GAP_OF : [name])

/** @param grids of `sourcesOf`, in that order */
export function combined(name: string, grids: readonly Grid[]): Grid | null {
  const [first, second] = grids
  if (first === undefined) return null
  if (name !== GAP) return first
  return second === undefined ? null : difference(first, second)
}
