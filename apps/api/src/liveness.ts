import { randomUUID } from 'node:crypto'
import type { Logger } from '@limbeck/platform'
import { removeApiLiveness, type Store, stampApiLiveness } from '@limbeck/store'

const STAMP_MS = 2_000

/**
 * Says in Postgres that a replica is up. Leases are judged only after one has been up for a whole lease: an outage of
 * the control plane costs nobody an attempt.
 */
export function startLiveness(
  store: Store,
  log: Logger,
  replica = randomUUID(),
): { stop: () => Promise<void> } {
  let timer: ReturnType<typeof setTimeout> | null = null
  let stopped = false
  let current: Promise<void> = Promise.resolve()
  const stamp = async () => {
    try {
      await stampApiLiveness(store, replica)
    } catch (error) {
      log.warn('liveness_failed', { error })
    }
    if (!stopped) timer = setTimeout(start, STAMP_MS)
  }
  const start = () => {
    current = stamp()
  }
  start()
  return {
    async stop() {
      stopped = true
      if (timer !== null) clearTimeout(timer)
      await current
      // With Postgres away the row only runs out.
      await removeApiLiveness(store, replica).catch(() => {})
    },
  }
}
