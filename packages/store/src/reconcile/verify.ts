import type { StageId } from '@limbeck/contracts'
import { isVerifying } from '@limbeck/core'
import { finishAttempt } from '../leases/end-attempt.ts'
import { recordResult } from '../leases/succeed.ts'
import { withLockedStage } from '../locked-stage.ts'
import { propagate } from '../propagate.ts'
import type { RunRow, StageRow } from '../rows.ts'
import { endAttempt } from '../sql/attempts.ts'
import { upsertCacheEntry } from '../sql/claims.ts'
import { VERIFY_OK } from '../sql/stage-transitions.ts'
import { selectVerifying, type VerifyingRow } from '../sql/sweeps.ts'
import type { Store } from '../store.ts'
import type { Queryable } from '../transaction.ts'
import { applyTransition } from '../transition.ts'

/**
 * Settles the stages whose output was hashed again: success, or a failure of the infrastructure where the stored bytes
 * are not the promised ones. The rest waits. @returns the stages that changed
 */
export async function settleVerifications(store: Store): Promise<StageId[]> {
  const changed: StageId[] = []
  for (const row of await selectVerifying(store.pool)) {
    if (row.output === 'pending') continue
    const next = await withLockedStage<StageRow | null>(store, row.id, null, (tx, stage, run) =>
      settle(tx, store, stage, run, row),
    )
    if (next !== null) changed.push(row.id)
  }
  return changed
}

async function settle(
  tx: Queryable,
  store: Store,
  stage: StageRow,
  run: RunRow,
  row: VerifyingRow,
): Promise<StageRow | null> {
  if (stage.epoch !== row.epoch || !isVerifying(stage.state)) return null
  if (row.output === 'absent')
    return finishAttempt(tx, store, stage, run, {
      command: 'verify_mismatch',
      reason: 'output_mismatch',
      message: `the stored output does not have the digest ${stage.output_digest}, or never arrived`,
      last_log_lines: [],
    })
  const next = await applyTransition(tx, stage, 'verify_ok', 'always', VERIFY_OK, [])
  if (next === null) return null
  await endAttempt(tx, stage.id, stage.epoch, { outcome: 'succeeded', reason: null, message: null })
  const { result, output_digest, cache_key } = next
  if (result !== null) await recordResult(tx, next, result, next.input_digests ?? {})
  if (run.cache !== 'off' && cache_key !== null && output_digest !== null && result !== null)
    await upsertCacheEntry(tx, {
      key: cache_key,
      project: stage.project,
      output: output_digest,
      result,
      stage: stage.id,
      replace: run.cache === 'refresh',
    })
  await propagate(tx, run, run.cancel_requested_at !== null)
  return next
}
