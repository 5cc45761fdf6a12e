import type { ClaimId, Digest, Lease, WorkerId } from '@limbeck/contracts'
import { cacheKey, isLeased, ok } from '@limbeck/core'
import { notFound, type StoreFailure, type StoreResult } from '../failure.ts'
import { propagate } from '../propagate.ts'
import type { StageRow, WorkerRow } from '../rows.ts'
import { insertAttempt, insertClaim, selectClaim, selectResume } from '../sql/attempts.ts'
import {
  type Candidate,
  isInFlight,
  lockClasses,
  selectCacheEntry,
  selectCandidates,
  tryLockKey,
} from '../sql/claims.ts'
import { lockRun, selectStage } from '../sql/runs.ts'
import { CACHE_HIT, CLAIM } from '../sql/stage-transitions.ts'
import { touchWorker } from '../sql/workers.ts'
import type { Store } from '../store.ts'
import { type Queryable, transaction } from '../transaction.ts'
import { applyTransition } from '../transition.ts'
import { recordResult } from './succeed.ts'

/**
 * Stages looked at in one claim: the first few nearly always hold one. Beyond the second number a worker would only
 * wait for identical ones in flight.
 */
const CANDIDATES = [4, 200]

type Step =
  | { kind: 'failure'; error: StoreFailure }
  | { kind: 'lease'; lease: Lease | null }
  | { kind: 'cache_hit' }

/**
 * Gives the worker the most urgent stage that it can run, or null. Idempotent by claim id: the same again
 * gives the same lease, and null once that lease has ended. Does not wait.
 */
export async function claimStage(
  store: Store,
  request: { project: string; worker: WorkerId; claim: ClaimId },
): StoreResult<Lease | null> {
  for (;;) {
    const step = await transaction(store, (tx) => tryClaim(tx, store, request))
    // One transaction a cached stage: each touches one run, so none waits for another in a circle.
    if (step.kind === 'cache_hit') continue
    return step.kind === 'failure' ? { ok: false, error: step.error } : ok(step.lease)
  }
}

async function tryClaim(
  tx: Queryable,
  store: Store,
  request: { project: string; worker: WorkerId; claim: ClaimId },
): Promise<Step> {
  const worker = await touchWorker(tx, request.project, request.worker)
  if (worker === null) return { kind: 'failure', error: notFound('worker', request.worker).error }
  await lockClasses(tx, worker.resource_classes)
  const known = await selectClaim(tx, request.claim)
  if (known !== null) return { kind: 'lease', lease: await repeatLease(tx, store, worker, known) }
  if (worker.drain_requested_at !== null) return { kind: 'lease', lease: null }
  for (const limit of CANDIDATES) {
    const candidates = await selectCandidates(tx, worker, limit)
    for (const candidate of candidates) {
      const step = await takeCandidate(tx, store, worker, candidate, request.claim)
      if (step !== null) return step
    }
    if (candidates.length < limit) break
  }
  return { kind: 'lease', lease: null }
}

/** Claim, cache hit, or null where the next candidate should be tried. */
async function takeCandidate(
  tx: Queryable,
  store: Store,
  worker: WorkerRow,
  { stage, run, outputs }: Candidate,
  claim: ClaimId,
): Promise<Step | null> {
  const inputs = resolveInputs(stage, run.assets, outputs)
  const key = cacheKey({
    project: stage.project,
    kind: stage.kind,
    code_digest: worker.code_digest,
    environment: worker.environment,
    spec: stage.spec,
    inputs,
    salt: run.cache_salt,
  })
  const pins = [
    worker.code_digest,
    JSON.stringify(worker.environment),
    worker.environment_digest,
    JSON.stringify(inputs),
    key,
  ]
  if (run.cache !== 'off') {
    // Another worker of equal code in another class is deciding about an identical stage right now.
    if (!(await tryLockKey(tx, key))) return null
    const entry = run.cache === 'use' ? await selectCacheEntry(tx, key) : null
    if (entry !== null) {
      const locked = await lockRun(tx, run.id)
      const hit = await applyTransition(tx, stage, 'cache_hit', 'due', CACHE_HIT, [
        entry.output_digest,
        JSON.stringify(entry.result),
        ...pins,
      ])
      if (locked === null || hit === null) return null
      await recordResult(tx, hit, entry.result, inputs)
      await propagate(tx, locked, locked.cancel_requested_at !== null)
      return { kind: 'cache_hit' }
    }
    if (await isInFlight(tx, key, stage.id)) return null
  }
  const locked = await lockRun(tx, run.id)
  const claimed = await applyTransition(tx, stage, 'claim', 'due', CLAIM, [
    worker.id,
    store.timing.lease_seconds,
    ...pins,
  ])
  if (locked === null || claimed === null) return null
  const resume = await selectResume(tx, stage.id, worker)
  await insertAttempt(tx, {
    stage_id: stage.id,
    epoch: claimed.epoch,
    worker_id: worker.id,
    code_digest: worker.code_digest,
    environment_digest: worker.environment_digest,
    resumed_from_step: resume?.step ?? null,
  })
  await insertClaim(tx, { id: claim, worker: worker.id, stage: stage.id, epoch: claimed.epoch })
  await propagate(tx, locked, locked.cancel_requested_at !== null)
  return { kind: 'lease', lease: leaseOf(store, claimed, inputs, resume) }
}

/** Digest of each input by its name. @throws Error: a queued stage whose input is missing is a bug of the writer */
function resolveInputs(
  stage: StageRow,
  assets: Record<string, { digest: Digest }>,
  outputs: Record<string, Digest>,
): Record<string, Digest> {
  return Object.fromEntries(
    Object.entries(stage.inputs).map(([input, reference]) => {
      const [source, name] = reference.split(/:(.*)/s) as [string, string]
      const digest = source === 'stage' ? outputs[name] : assets[name]?.digest
      if (digest === undefined)
        throw new Error(`stage ${stage.id} is queued, but its input ${input} (${reference}) has no content`)
      return [input, digest]
    }),
  )
}

async function repeatLease(
  tx: Queryable,
  store: Store,
  worker: WorkerRow,
  known: { stage_id: string; epoch: number; worker_id: string },
): Promise<Lease | null> {
  const stage = await selectStage(tx, known.stage_id)
  if (stage === null || !isLeased(stage.state)) return null
  if (stage.epoch !== known.epoch || known.worker_id !== worker.id) return null
  return leaseOf(store, stage, stage.input_digests ?? {}, await selectResume(tx, stage.id, worker))
}

const leaseOf = (
  store: Store,
  stage: StageRow,
  inputs: Record<string, Digest>,
  resume: { digest: Digest; step: number } | null,
): Lease => ({
  run: stage.run_id,
  stage: stage.id,
  name: stage.name,
  epoch: stage.epoch,
  lease_seconds: store.timing.lease_seconds,
  max_seconds: stage.max_seconds,
  stall_seconds: stage.stall_seconds,
  spec: stage.spec,
  inputs,
  resume,
})
