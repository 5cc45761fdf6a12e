import { ok } from '@limbeck/core'
import type { StoreResult } from '../failure.ts'
import { type HeartbeatRow, type Progress, renewLease, selectHeartbeat } from '../sql/heartbeats.ts'
import { selectStage } from '../sql/runs.ts'
import type { Store } from '../store.ts'
import { type Fence, leaseLost } from './fence.ts'

export type HeartbeatAction = 'continue' | 'cancel' | 'drain'

const actionOf = ({ cancel, drain }: HeartbeatRow): HeartbeatAction =>
  cancel ? 'cancel' : drain ? 'drain' : 'continue'

/** Renews the lease, records the progress, says what the worker must do. Failure: lease_lost. */
export async function heartbeat(
  store: Store,
  fence: Fence,
  progress: Progress | null,
): StoreResult<{ action: HeartbeatAction; lease_seconds: number }> {
  const { lease_seconds } = store.timing
  const row = await renewLease(store.pool, fence, lease_seconds, progress)
  return row === null
    ? leaseLost(fence, await selectStage(store.pool, fence.stage))
    : ok({ action: actionOf(row), lease_seconds })
}

/** For the time in which an API replica holds a heartbeat's answer. Renews nothing. Failure: lease_lost. */
export async function peekHeartbeat(store: Store, fence: Fence): StoreResult<{ action: HeartbeatAction }> {
  const row = await selectHeartbeat(store.pool, fence)
  return row === null
    ? leaseLost(fence, await selectStage(store.pool, fence.stage))
    : ok({ action: actionOf(row) })
}
