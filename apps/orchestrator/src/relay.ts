import { ResourceClass } from '@limbeck/contracts'
import type { Logger } from '@limbeck/platform'
import { relayEvents, type Store, type UndeliveredEvent } from '@limbeck/store'
import { z } from 'zod'
import type { DispatchQueues, Ring } from './dispatch-queues.ts'

const BATCH = 500

/** Of a `stage.changed` event of the store, what a doorbell needs. */
const Queued = z.object({
  epoch: z.int(),
  resource_class: ResourceClass,
  priority: z.int().min(0).max(100),
  next_attempt_at: z.number().nullable().describe('seconds since 1970'),
})

const isQueued = ({ type, payload }: UndeliveredEvent): boolean =>
  type === 'stage.changed' && payload.state === 'queued'

/** @param now milliseconds since 1970 */
export function ringsOf(events: readonly UndeliveredEvent[], now: number, log: Logger): Ring[] {
  return events.filter(isQueued).flatMap(({ id, stage, payload }) => {
    const queued = Queued.safeParse(payload)
    if (!queued.success || stage === null) {
      // Claims find the stage by the clock, so the relay goes on with the others.
      log.error('event_not_understood', { event_id: id, error: queued.error })
      return []
    }
    const { epoch, resource_class, priority, next_attempt_at } = queued.data
    if (resource_class === 'control') return []
    const delay = next_attempt_at === null ? 0 : Math.max(0, next_attempt_at * 1000 - now)
    return [{ resource_class, id: `${stage}.${epoch}`, data: { stage, epoch }, priority, delay }]
  })
}

/**
 * Events become doorbells after their transaction has committed. A crash between ringing and marking rings twice, and
 * with Redis away the events wait unmarked: both are harmless, because a ring only says "ask Postgres".
 * @returns whether a full batch was there, so that there may be more
 */
export async function relayRound(store: Store, queues: DispatchQueues, log: Logger): Promise<boolean> {
  const relayed = await relayEvents(store, BATCH, (events) => queues.ring(ringsOf(events, Date.now(), log)))
  return relayed === BATCH
}
