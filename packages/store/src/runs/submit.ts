import type { CachePolicy, Digest, RunId, RunView } from '@limbeck/contracts'
import { digestOf, ok, type Plan } from '@limbeck/core'
import type { z } from 'zod'
import { failure, type StoreFailure, type StoreResult } from '../failure.ts'
import { newId } from '../ids.ts'
import { propagate } from '../propagate.ts'
import { storeResponse, takeKey } from '../sql/idempotency.ts'
import { insertRun, insertStages, selectAssets } from '../sql/submit.ts'
import type { Store } from '../store.ts'
import { type Queryable, transaction } from '../transaction.ts'
import { getRun } from './view.ts'

export interface RunSubmission {
  project: string
  submitted_by: string
  /** Of core's planRun. */
  plan: Plan
  overrides: Record<string, unknown>
  label: string
  priority: number
  cache: z.infer<typeof CachePolicy>
  cache_salt: string
  /** The same key with the same hash again gives the same run, for a day. */
  idempotency: { key: string; request_hash: Digest } | null
}

const KEY_TTL_SECONDS = 24 * 3600
const CREATED = 201

/** Creates the run with its stages, and starts those that need nothing. Failures: unknown_asset, idempotency_key_reused. */
export async function submitRun(
  store: Store,
  submission: RunSubmission,
): StoreResult<{ run: RunView; replayed: boolean }> {
  const outcome = await transaction<
    { ok: true; run: string; replayed: boolean } | { ok: false; error: StoreFailure }
  >(store, async (tx) => {
    const { project, plan, idempotency } = submission
    const missing = await unknownAssets(tx, submission)
    const scope = `runs:${project}`
    if (idempotency !== null) {
      const stored = await takeKey(tx, { scope, ttl_seconds: KEY_TTL_SECONDS, ...idempotency })
      if (stored !== null) {
        if (stored.request_hash === idempotency.request_hash && typeof stored.response === 'string')
          return { ok: true, run: stored.response, replayed: true }
        return failure(
          'idempotency_key_reused',
          `the key ${JSON.stringify(idempotency.key)} was used for another request; use a new one`,
        )
      }
    }
    if (missing.names.length > 0) {
      if (idempotency !== null)
        await tx.query('DELETE FROM idempotency_key WHERE scope = $1 AND key = $2', [scope, idempotency.key])
      return failure(
        'unknown_asset',
        `not registered in project ${project}: ${missing.names.join(', ')}; register each with POST /v1/assets`,
      )
    }
    const id = await createRun(tx, submission, missing.assets)
    if (idempotency !== null)
      await storeResponse(tx, { scope, key: idempotency.key, status: CREATED, response: id })
    await propagate(tx, { id }, false)
    return { ok: true, run: id, replayed: false, stages: plan.stages.length }
  })
  if (!outcome.ok) return outcome
  const run = await getRun(store, submission.project, outcome.run)
  return run.ok ? ok({ run: run.value, replayed: outcome.replayed }) : run
}

async function unknownAssets(tx: Queryable, { project, plan }: RunSubmission) {
  const found = await selectAssets(tx, project, plan.assets)
  const assets = Object.fromEntries(
    found.map(({ name, kind, digest, licence }) => [name, { kind, digest, licence }]),
  )
  return { assets, names: plan.assets.filter((name) => !(name in assets)) }
}

async function createRun(
  tx: Queryable,
  submission: RunSubmission,
  assets: Record<string, { kind: string; digest: Digest; licence: string }>,
): Promise<RunId> {
  const { plan, project, priority } = submission
  const id = newId('run')
  await insertRun(tx, {
    id,
    project,
    recipe: plan.recipe.name,
    recipe_version: plan.recipe.version,
    recipe_digest: digestOf(plan.recipe),
    recipe_body: plan.recipe,
    overrides: submission.overrides,
    assets,
    label: submission.label,
    priority,
    cache: submission.cache,
    cache_salt: submission.cache_salt,
    submitted_by: submission.submitted_by,
  })
  await insertStages(
    tx,
    { id, project, priority },
    plan.stages.map((stage) => ({ ...stage, id: newId('stg') })),
  )
  return id
}
