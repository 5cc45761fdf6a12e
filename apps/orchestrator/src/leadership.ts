import { randomUUID } from 'node:crypto'
import type { Logger } from '@limbeck/platform'
import { leaveLeadership, type Store, takeLeadership } from '@limbeck/store'
import { startLoop } from './loop.ts'

const NAME = 'orchestrator'
/** A killed leader's work rests this long at most. */
const EXPIRY_SECONDS = 4
const RENEW_MS = 1_000

export interface Leadership {
  /** Whether this process may work: the row was renewed less than its expiry ago, by this process's own clock. */
  readonly held: () => boolean
  stop(): Promise<void>
}

/**
 * One orchestrator works, others stand by. A row with an expiry and not a session lock, so that a pooler between here
 * and Postgres does no harm. Two that work for a moment do none either: every statement is conditional.
 */
export function startLeadership(store: Store, log: Logger, holder = randomUUID()): Leadership {
  let until = 0
  const held = () => performance.now() < until
  const loop = startLoop({
    name: 'leadership',
    log,
    idle_ms: RENEW_MS,
    round: async () => {
      const before = held()
      const asked = performance.now()
      const taken = await takeLeadership(store, NAME, holder, EXPIRY_SECONDS)
      until = taken ? asked + EXPIRY_SECONDS * 1000 : 0
      if (taken !== before) log.info(taken ? 'leading' : 'standing_by')
      return false
    },
  })
  return {
    held,
    async stop() {
      await loop.stop()
      until = 0
      // With Postgres away the row only runs out.
      await leaveLeadership(store, NAME, holder).catch(() => {})
    },
  }
}
