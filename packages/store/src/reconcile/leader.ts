import type { Store } from '../store.ts'

/**
 * A row with an expiry rather than a session's advisory lock, which a connection pooler would break. Taken, renewed, or
 * refused in one statement; renew at a third of `seconds`. Index: primary key.
 */
export async function takeLeadership(
  store: Store,
  name: string,
  holder: string,
  seconds: number,
): Promise<boolean> {
  const { rowCount } = await store.pool.query(
    `INSERT INTO leader (name, holder, expires_at) VALUES ($1, $2, now() + make_interval(secs => $3))
     ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
     WHERE leader.holder = excluded.holder OR leader.expires_at < now()`,
    [name, holder, seconds],
  )
  return rowCount === 1
}

export async function leaveLeadership(store: Store, name: string, holder: string): Promise<void> {
  await store.pool.query('DELETE FROM leader WHERE name = $1 AND holder = $2', [name, holder])
}
