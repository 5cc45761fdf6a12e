import type { Digest, StageState } from '@limbeck/contracts'
import { ok } from '@limbeck/core'
import type { StoreResult } from '../failure.ts'
import { insertCheckpoint } from '../sql/attempts.ts'
import { lockStage } from '../sql/runs.ts'
import type { Store } from '../store.ts'
import { transaction } from '../transaction.ts'
import { type Fence, holdsLease, leaseLost } from './fence.ts'

/** Notes a checkpoint that the worker has uploaded; the next attempt starts from it once it is verified. Failure: lease_lost. */
export const reportCheckpoint = (
  store: Store,
  fence: Fence,
  checkpoint: { step: number; digest: Digest },
): StoreResult<{ state: StageState }> =>
  transaction<Awaited<StoreResult<{ state: StageState }>>>(store, async (tx) => {
    const stage = await lockStage(tx, fence.stage)
    if (stage === null || !holdsLease(stage, fence)) return leaseLost(fence, stage)
    await insertCheckpoint(tx, { stage: fence.stage, epoch: fence.epoch, ...checkpoint })
    return ok({ state: stage.state })
  })
