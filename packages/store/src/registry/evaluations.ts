import type { EvaluationView } from '@limbeck/contracts'
import type { z } from 'zod'
import { iso } from '../rows.ts'
import { selectEvaluations } from '../sql/evaluations.ts'
import type { Store } from '../store.ts'

/** Newest first. */
export async function listEvaluations(
  store: Store,
  project: string,
  filter: { run?: string | undefined; limit: number },
): Promise<z.infer<typeof EvaluationView>[]> {
  const rows = await selectEvaluations(store.pool, project, filter.run ?? null, filter.limit)
  return rows.map((row) => ({
    ...row.body,
    id: row.id,
    run: row.run_id,
    stage: row.stage_id,
    stage_name: row.stage_name,
    model: row.model,
    created_at: iso(row.created_at),
  }))
}
