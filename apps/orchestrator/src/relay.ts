import { ResourceClass } from '@limbeck/contracts'
import { relayEvents, type Store, type UndeliveredEvent } from '@limbeck/store'
import { z } from 'zod'
import type { DispatchQueues, Ring } from './dispatch-queues.ts'

const BATCH = 500

/** Of a `stage.changed` event, what a doorbell needs. */
const Queued = z.object({
  state: z.literal('queued'),
  epoch: z.int(),
  resource_class: ResourceClass,
  priority: z.int().min(0).max(100),
  next_attempt_at: z.iso.datetime({ offset: true }).nullable().optional(),
})

export function ringsOf(events: readonly UndeliveredEvent[], now: number): Ring[] {
  return events.flatMap(({ type, stage, payload }) => {
    if (type !== 'stage.changed' || stage === null) return []
    const queued = Queued.safeParse(payload)
    if (!queued.success || queued.data.resource_class === 'control') return []
    const { epoch, resource_class, priority, next_attempt_at } = queued.data
    const delay = next_attempt_at ? Date.parse(next_attempt_at) - now : 0
    return [{ resource_class, id: `${stage}.${epoch}`, data: { stage, epoch }, priority, delay }]
  })
}

/**
 * Events become doorbells after their transaction has committed. A crash between ringing and marking rings twice, and
 * with Redis away the events wait unmarked: both are harmless, because a ring only says "ask Postgres".
 * @returns whether a full batch was there, so that there may be more
 */
export async function relayRound(store: Store, queues: DispatchQueues): Promise<boolean> {
  const relayed = await relayEvents(store, BATCH, (events) => queues.ring(ringsOf(events, Date.now())))
  return relayed === BATCH
}
