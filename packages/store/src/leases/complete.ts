import type { Digest, StageResult, StageState } from '@limbeck/contracts'
import { ok } from '@limbeck/core'
import { failure, type StoreResult } from '../failure.ts'
import { withLockedStage } from '../locked-stage.ts'
import { propagate } from '../propagate.ts'
import { setAttemptOutput } from '../sql/attempts.ts'
import { insertEvent } from '../sql/events.ts'
import { COMPLETE } from '../sql/stage-transitions.ts'
import type { Store } from '../store.ts'
import { applyTransition } from '../transition.ts'
import { type Fence, holdsLease, leaseLost } from './fence.ts'

/**
 * The worker hands over its output; the GPU is free, the stage waits for verification. Idempotent by (epoch, output).
 * A completion after a cancel is taken: the work is done. Failures: lease_lost, output_conflict.
 */
export async function completeStage(
  store: Store,
  fence: Fence,
  { output, result }: { output: Digest; result: StageResult },
): StoreResult<{ state: StageState }> {
  return withLockedStage<Awaited<StoreResult<{ state: StageState }>>>(
    store,
    fence.stage,
    leaseLost(fence, null),
    async (tx, stage, run) => {
      if (holdsLease(stage, fence)) {
        const next = await applyTransition(tx, stage, 'complete', 'always', COMPLETE, [
          output,
          JSON.stringify(result),
        ])
        if (next === null) return leaseLost(fence, stage)
        await setAttemptOutput(tx, stage.id, stage.epoch, output)
        await propagate(tx, run, run.cancel_requested_at !== null)
        return ok({ state: next.state })
      }
      // An output stands only in verifying and succeeded; of a cached stage it is nobody's attempt.
      const handedOver = stage.epoch === fence.epoch && stage.output_digest !== null && !stage.cached
      if (!handedOver) return leaseLost(fence, stage)
      if (stage.output_digest === output) return ok({ state: stage.state })
      await insertEvent(tx, {
        project: stage.project,
        run: stage.run_id,
        stage: stage.id,
        type: 'stage.output_conflict',
        payload: { name: stage.name, epoch: stage.epoch, stored: stage.output_digest, offered: output },
      })
      return failure(
        'output_conflict',
        `attempt ${fence.epoch} of ${fence.stage} completed with ${stage.output_digest}; now ${output} was offered`,
      )
    },
  )
}
