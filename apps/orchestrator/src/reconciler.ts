import type { Logger } from '@limbeck/platform'
import {
  countDueStages,
  enforceTimeouts,
  expireLeases,
  forceCancels,
  type Store,
  settleVerifications,
  unblockStages,
} from '@limbeck/store'
import type { DispatchQueues } from './dispatch-queues.ts'

/** In this order: what ends an attempt comes before what follows from its end. */
const SWEEPS = { expireLeases, forceCancels, enforceTimeouts, settleVerifications, unblockStages }
const RINGS_A_CLASS = 32

/** One round over everything that a lost message, a dead worker or a killed process may have left behind. */
export async function reconcileRound(store: Store, queues: DispatchQueues, log: Logger): Promise<boolean> {
  const failures: unknown[] = []
  for (const [sweep, run] of Object.entries(SWEEPS)) {
    try {
      const stages = await run(store)
      if (stages.length > 0)
        log.info('reconciled', { sweep, count: stages.length, stages: stages.slice(0, 20) })
    } catch (error) {
      // The other sweeps go on: a statement that fails must not keep dead leases alive.
      failures.push(error)
    }
  }
  await ringDue(store, queues)
  if (failures.length > 0) throw failures[0]
  return false
}

/** What has been due for a while rings again: its job may be gone with Redis's memory. */
async function ringDue(store: Store, queues: DispatchQueues): Promise<void> {
  const due = await countDueStages(store)
  const rings = due.flatMap(({ resource_class, count }) =>
    Array.from({ length: Math.min(count, RINGS_A_CLASS) }, (_, index) => ({
      resource_class,
      id: `again.${resource_class}.${index}`,
      data: {},
      priority: 0,
      delay: 0,
    })),
  )
  // With Redis away, waiting claims ask by the clock.
  await queues.ring(rings).catch(() => {})
}
