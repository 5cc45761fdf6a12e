import type { Store } from '../store.ts'

const BATCH = 1_000

/**
 * Deletes what has expired and is read by nobody: idempotency keys, and one-time codes an hour after their end.
 * @returns how many rows; a full batch of one kind means that there may be more
 */
export async function deleteExpired(store: Store): Promise<number> {
  const keys = await store.pool.query(
    `DELETE FROM idempotency_key WHERE (scope, key) IN
       (SELECT scope, key FROM idempotency_key WHERE expires_at < now() LIMIT ${BATCH})`,
  )
  const codes = await store.pool.query(
    `DELETE FROM login_code WHERE hash IN
       (SELECT hash FROM login_code WHERE expires_at < now() - interval '1 hour' LIMIT ${BATCH})`,
  )
  return (keys.rowCount ?? 0) + (codes.rowCount ?? 0)
}
