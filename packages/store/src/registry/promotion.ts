import type { PromotionCreate, PromotionView, ReleaseView } from '@limbeck/contracts'
import { digestOf, ok } from '@limbeck/core'
import type { z } from 'zod'
import { notFound, type StoreFailure, type StoreResult } from '../failure.ts'
import { newId } from '../ids.ts'
import { iso } from '../rows.ts'
import { selectEvaluations } from '../sql/evaluations.ts'
import { insertEvent } from '../sql/events.ts'
import {
  insertPromotion,
  lockAlias,
  type PromotionRow,
  selectAlias,
  selectModels,
  selectPromotions,
} from '../sql/models.ts'
import { lockRun, selectStagesOfRun } from '../sql/runs.ts'
import type { Store } from '../store.ts'
import { only, transaction } from '../transaction.ts'
import { releaseManifest } from './manifest.ts'

type PromotionDto = z.infer<typeof PromotionView>

const viewOf = (row: PromotionRow): PromotionDto => ({
  id: row.id,
  alias: row.alias,
  model_version: row.model_version_id,
  previous: row.previous_id,
  manifest: row.manifest_digest,
  promoted_by: row.promoted_by,
  reason: row.reason,
  created_at: iso(row.created_at),
})

/** Evaluations of one run: stages times protocols. */
const MAX_EVALUATIONS = 1024

/**
 * Moves an alias to a model version all of whose gates have passed, with an entry in the ledger. Promoting what the alias
 * names already changes nothing and gives that entry. Failures: not_found, gates_failed.
 */
export const promote = (
  store: Store,
  project: string,
  promotion: z.infer<typeof PromotionCreate>,
  promoted_by: string,
): StoreResult<PromotionDto> =>
  transaction<Awaited<StoreResult<PromotionDto>>>(store, async (tx) => {
    const { alias, model_version, reason } = promotion
    const current = await lockAlias(tx, project, alias)
    const [model] = await selectModels(tx, project, { run: null, id: model_version, limit: 1 })
    if (model === undefined) return notFound('model version', model_version)
    if (!model.promotable) return { ok: false, error: gatesFailed(model) }
    if (current?.model_version_id === model.id) return ok(viewOf(current))
    const run = await lockRun(tx, model.run_id)
    if (run === null) return notFound('run', model.run_id)
    const { rows } = await tx.query<{ now: Date }>("SELECT date_trunc('milliseconds', now()) AS now")
    const { now } = only(rows)
    const evaluations = await selectEvaluations(tx, project, run.id, MAX_EVALUATIONS)
    const manifest = releaseManifest(
      { alias, promoted_by, promoted_at: iso(now) },
      model,
      run,
      await selectStagesOfRun(tx, run.id),
      evaluations.map((row) => row.body).reverse(),
    )
    const row: PromotionRow = {
      id: newId('prm'),
      project,
      alias,
      model_version_id: model.id,
      previous_id: current?.model_version_id ?? null,
      manifest_digest: digestOf(manifest),
      manifest,
      promoted_by,
      reason,
      created_at: now,
    }
    await insertPromotion(tx, row)
    await insertEvent(tx, {
      project,
      run: run.id,
      stage: null,
      type: 'alias.moved',
      payload: { alias, model_version: model.id, previous: row.previous_id, promotion: row.id },
    })
    return ok(viewOf(row))
  })

function gatesFailed(
  model: Pick<Awaited<ReturnType<typeof selectModels>>[number], 'id' | 'gates'>,
): StoreFailure {
  const gates = model.gates.filter((gate) => !gate.passed)
  return {
    code: 'gates_failed',
    detail:
      model.gates.length === 0
        ? `${model.id} was judged by no gate; a recipe without gates gives nothing to promote`
        : `${model.id} failed ${gates.map((gate) => gate.name).join(', ')}; the alias does not move`,
    gates,
  }
}

/** The ledger, newest first. */
export async function listPromotions(
  store: Store,
  project: string,
  filter: { alias?: string | undefined; limit: number },
): Promise<PromotionDto[]> {
  return (await selectPromotions(store.pool, project, filter.alias ?? null, filter.limit)).map(viewOf)
}

/** What an alias names now. Failure: not_found. */
export async function getRelease(
  store: Store,
  project: string,
  alias: string,
): StoreResult<z.infer<typeof ReleaseView>> {
  const row = await selectAlias(store.pool, project, alias)
  return row === null
    ? notFound('release under the alias', alias)
    : ok({ alias, promotion: viewOf(row), manifest: row.manifest })
}
