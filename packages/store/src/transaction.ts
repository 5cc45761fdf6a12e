import type pg from 'pg'
import type { Store } from './store.ts'

/** What statements run on: the pool, or one connection inside a transaction. */
export type Queryable = Pick<pg.ClientBase, 'query'>

const MAX_TRIES = 4
/** serialization_failure, deadlock_detected: the server rolled back, and the same again may succeed. */
const RETRYABLE = new Set(['40001', '40P01'])

/**
 * Runs `body` in a READ COMMITTED transaction. It may run again after a deadlock, so it must change nothing
 * outside the database; no network call inside, since it holds a connection and locks.
 */
export async function transaction<T>(store: Store, body: (tx: Queryable) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    const client = await store.pool.connect()
    let broken = false
    try {
      await client.query('BEGIN')
      const value = await body(client)
      await client.query('COMMIT')
      return value
    } catch (error) {
      // A connection that cannot even roll back goes out of the pool.
      await client.query('ROLLBACK').catch(() => {
        broken = true
      })
      if (tries >= MAX_TRIES || !RETRYABLE.has((error as { code?: string }).code ?? '')) throw error
    } finally {
      client.release(broken)
    }
  }
}

/** The single row of a statement that always gives one. @throws Error */
export function only<T>(rows: readonly T[]): T {
  const [row] = rows
  if (row === undefined) throw new Error('the statement gave no row; it must give one')
  return row
}
