import type { Digest, StageResult } from '@limbeck/contracts'
import { newId } from '../ids.ts'
import type { StageRow } from '../rows.ts'
import { insertEvaluation } from '../sql/evaluations.ts'
import type { Queryable } from '../transaction.ts'

/** What a stage leaves beside its output; a cached one leaves it too, in its own run. */
export async function recordResult(
  tx: Queryable,
  stage: StageRow,
  result: StageResult,
  inputs: Record<string, Digest>,
): Promise<void> {
  for (const evaluation of result.evaluations)
    await insertEvaluation(tx, {
      id: newId('evl'),
      project: stage.project,
      run: stage.run_id,
      stage: stage.id,
      stage_name: stage.name,
      model: inputs.model ?? null,
      evaluation,
    })
}
