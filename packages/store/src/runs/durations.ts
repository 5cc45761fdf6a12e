import type { PlannedStage } from '@limbeck/core'
import { selectDurations } from '../sql/durations.ts'
import type { Store } from '../store.ts'

type Planned = Pick<PlannedStage, 'name' | 'kind' | 'resource_class'>

/** Median seconds of what such stages took before, in the order given; null where none has succeeded. */
export async function expectedSeconds(
  store: Store,
  project: string,
  stages: readonly Planned[],
): Promise<(number | null)[]> {
  const known = await selectDurations(store.pool, project, stages)
  return stages.map(
    (stage) =>
      known.find(
        ({ name, kind, resource_class }) =>
          name === stage.name && kind === stage.kind && resource_class === stage.resource_class,
      )?.seconds ?? null,
  )
}
