import type { StageId, WorkerId } from '@limbeck/contracts'
import { isLeased } from '@limbeck/core'
import { failure } from '../failure.ts'
import type { StageRow } from '../rows.ts'

/** What every call of a worker that changes state carries. */
export interface Fence {
  worker: WorkerId
  stage: StageId
  epoch: number
}

/** The right is the worker's now: its epoch is the newest and the lease was not judged lost. */
export const holdsLease = (stage: StageRow, fence: Fence): boolean =>
  isLeased(stage.state) && stage.epoch === fence.epoch && stage.lease_worker === fence.worker

export const leaseLost = (fence: Fence, stage: StageRow | null) =>
  failure(
    'lease_lost',
    stage === null
      ? `there is no stage ${fence.stage}`
      : `${fence.worker} does not hold attempt ${fence.epoch} of ${fence.stage}: the stage is ${stage.state} at attempt ${stage.epoch}`,
  )
