import type {
  Digest,
  GateResult,
  ModelVersionId,
  Recipe,
  RunId,
  StageId,
  StageResult,
} from '@limbeck/contracts'
import { isFinal, isQueued, ok } from '@limbeck/core'
import { failure, notFound, type StoreResult } from '../failure.ts'
import { newId } from '../ids.ts'
import { withLockedStage } from '../locked-stage.ts'
import { propagate } from '../propagate.ts'
import type { RunRow, StageRow } from '../rows.ts'
import { insertEvent } from '../sql/events.ts'
import { insertModelVersion, selectModels } from '../sql/models.ts'
import { selectStagesOfRun } from '../sql/runs.ts'
import { JUDGE } from '../sql/stage-transitions.ts'
import { stateIs } from '../sql/states.ts'
import type { Store } from '../store.ts'
import type { Queryable } from '../transaction.ts'
import { applyTransition } from '../transition.ts'

/** A stage that the control plane does itself, with what it judges. */
export interface GatesStage {
  stage: StageId
  run: RunId
  project: string
  recipe: Recipe
  /** By stage name, of the stages that succeeded. */
  results: Record<string, StageResult>
  outputs: Record<string, Digest>
}

/** Queued gates stages. Nothing is taken: settling is conditional, so two orchestrators judge once. Index: stage_queued_partial. */
export async function listGatesStages(store: Store, limit: number): Promise<GatesStage[]> {
  const { rows } = await store.pool.query<GatesStage>(
    `SELECT stage.id AS stage, stage.run_id AS run, stage.project, run.recipe_body AS recipe,
       coalesce(jsonb_object_agg(other.name, other.result) FILTER (WHERE other.result IS NOT NULL), '{}') AS results,
       coalesce(jsonb_object_agg(other.name, other.output_digest) FILTER (WHERE other.output_digest IS NOT NULL), '{}')
         AS outputs
     FROM stage JOIN run ON run.id = stage.run_id
     LEFT JOIN stage AS other ON other.run_id = run.id AND ${stateIs(isFinal, 'other.state')}
     WHERE ${stateIs(isQueued, 'stage.state')} AND stage.resource_class = 'control' AND stage.kind = 'gates'
     GROUP BY stage.id, run.id ORDER BY stage.created_at LIMIT $1`,
    [limit],
  )
  return rows
}

/**
 * Stores what the gates said, once and for ever: a later change of thresholds does not rewrite it. A failed gate does not
 * fail the run; it makes the model version not promotable. Again is fine. Failures: not_found, conflict.
 */
export const settleGates = (
  store: Store,
  stageId: StageId,
  gates: GateResult[],
): StoreResult<{ model_version: ModelVersionId | null }> =>
  withLockedStage<Awaited<StoreResult<{ model_version: ModelVersionId | null }>>>(
    store,
    stageId,
    notFound('stage', stageId),
    async (tx, stage, run) => {
      if (isFinal(stage.state)) {
        const [known] = await selectModels(tx, stage.project, { run: run.id, id: null, limit: 1 })
        return ok({ model_version: known?.id ?? null })
      }
      const failed = gates.filter((gate) => !gate.passed)
      const result: StageResult = {
        metrics: { gates_passed: gates.length - failed.length, gates_failed: failed.length },
        warnings: failed.map((gate) => `gate ${gate.name} failed: ${gate.detail}, required ${gate.required}`),
        evaluations: [],
      }
      const next =
        stage.kind === 'gates'
          ? await applyTransition(tx, stage, 'judge', 'control_class', JUDGE, [JSON.stringify(result)])
          : null
      if (next === null)
        return failure(
          'conflict',
          `stage ${stageId} is a ${stage.kind} and ${stage.state}; it cannot be judged`,
        )
      const model_version = await register(tx, stage, run, gates)
      await propagate(tx, run, run.cancel_requested_at !== null)
      return ok({ model_version })
    },
  )

/** The model version that the recipe's release names. What no gate has judged is not promotable. */
async function register(
  tx: Queryable,
  stage: StageRow,
  run: RunRow,
  gates: GateResult[],
): Promise<ModelVersionId | null> {
  const { release } = run.recipe_body
  if (release === null) return null
  const outputs = new Map(
    (await selectStagesOfRun(tx, run.id)).map(({ name, output_digest }) => [name, output_digest]),
  )
  const outputOf = (name: string): Digest => {
    const digest = outputs.get(name)
    if (digest == null) throw new Error(`run ${run.id} reached its gates, but stage ${name} has no output`)
    return digest
  }
  const { id, version } = await insertModelVersion(tx, {
    id: newId('mdl'),
    project: run.project,
    name: run.recipe,
    run_id: run.id,
    model: outputOf(release.model),
    decoder: outputOf(release.decoder),
    package: outputOf(release.package),
    gates,
    promotable: gates.length > 0 && gates.every((gate) => gate.passed),
  })
  await insertEvent(tx, {
    project: run.project,
    run: run.id,
    stage: stage.id,
    type: 'model.registered',
    payload: { model_version: id, name: run.recipe, version },
  })
  return id
}
