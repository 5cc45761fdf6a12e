import type { RunView, StageView } from '@limbeck/contracts'

type Evaluation = NonNullable<StageView['result']>['evaluations'][number]

/** The pictures of one evaluation: those of one moment of the training. */
export interface SampleVersion {
  stage: string
  /** Output of the stage; null where it has none (yet). */
  artifact: string | null
  /** RFC 3339; null while it is not known. */
  endedAt: string | null
  evaluation: Evaluation
}

/** A role under one protocol, with every evaluation of it, oldest first. */
export interface SampleColumn {
  key: string
  title: string
  role: string
  steps: number
  versions: readonly SampleVersion[]
}

/** From what is to be reached to what was made of it. */
const ROLES = ['teacher', 'base', 'control', 'control_steps', 'kd_only', 'distilled', 'few_step']

const rank = (role: string): number => {
  const place = ROLES.indexOf(role)
  return place < 0 ? ROLES.length : place
}

/** Columns of a run's samples: teacher first, few steps last; many steps before few. */
export function sampleColumns(run: Pick<RunView, 'stages'>): SampleColumn[] {
  const versions = run.stages.flatMap((stage) =>
    stage.kind === 'evaluate'
      ? (stage.result?.evaluations ?? []).map((evaluation) => ({
          stage: stage.name,
          artifact: stage.output,
          endedAt: stage.ended_at,
          evaluation,
        }))
      : [],
  )
  const byKey = [
    ...Map.groupBy(
      versions,
      ({ evaluation: { role, protocol_hash } }) => `${role}-${protocol_hash.slice(0, 12)}`,
    ),
  ]
  const columns = byKey.flatMap(([key, found]) => {
    const [first] = found
    if (first === undefined) return []
    const { role, protocol } = first.evaluation
    return [{ key, role, protocol, steps: protocol.steps, versions: found.toSorted(older) }]
  })
  return columns
    .sort(
      (a, b) =>
        rank(a.role) - rank(b.role) ||
        b.steps - a.steps ||
        b.protocol.guidance_scale - a.protocol.guidance_scale,
    )
    .map(({ protocol, ...column }) => ({
      ...column,
      title: `${column.role}, ${protocol.steps} ${protocol.steps === 1 ? 'step' : 'steps'}, guidance ${protocol.guidance_scale}`,
    }))
}

/** Stages that shall evaluate and have no result: why a column is not there. */
export const withoutResult = (run: Pick<RunView, 'stages'>): StageView[] =>
  run.stages.filter(({ kind, result }) => kind === 'evaluate' && (result?.evaluations.length ?? 0) === 0)

/** RFC 3339 in UTC sorts as text; what has no time is the newest. */
const older = (a: SampleVersion, b: SampleVersion): number =>
  (a.endedAt ?? '~') < (b.endedAt ?? '~') ? -1 : (a.endedAt ?? '~') > (b.endedAt ?? '~') ? 1 : 0
