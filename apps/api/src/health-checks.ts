import { randomUUID } from 'node:crypto'
import { closeWithin, type ObjectStore, producerConnection } from '@limbeck/platform'
import { pingStore, type Store } from '@limbeck/store'
import type { Health } from './context.ts'

const LIMIT_MS = 2_000

const within = (work: Promise<unknown>): Promise<void> => {
  let timer: ReturnType<typeof setTimeout> | undefined
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${LIMIT_MS} ms`)), LIMIT_MS)
  })
  return Promise.race([work.then(() => {}), limit]).finally(() => clearTimeout(timer))
}

/** Checks that try the work itself: a server that only answers a ping may be full, or read-only. */
export function healthChecks(
  store: Store,
  objects: ObjectStore,
  redisUrl: string,
  prefix = 'limbeck',
): { health: Health; close: () => Promise<void> } {
  const redis = producerConnection(redisUrl)
  const key = `${prefix}:health:${randomUUID()}`
  const health = {
    postgres: () => within(pingStore(store)),
    redis: () => within(redis.set(key, '1', 'EX', 10)),
    s3: () =>
      within(
        objects
          .createUpload(`health/${key.replaceAll(':', '-')}`)
          .then(({ upload_id }) => objects.abortUpload(`health/${key.replaceAll(':', '-')}`, upload_id)),
      ),
  }
  const close = async () => {
    await closeWithin(500, async () => redis.disconnect())
  }
  return { health, close }
}
