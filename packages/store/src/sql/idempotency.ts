import type { Digest } from '@limbeck/contracts'
import type { Queryable } from '../transaction.ts'

export interface IdempotencyRow {
  request_hash: Digest
  /** Null while the first request is still running. */
  status: number | null
  response: unknown
}

/**
 * Takes the key for this request. A second one that comes meanwhile waits for the first one's transaction; an expired key
 * is taken over, and so is one whose request died without an answer. @returns null where it was taken now, otherwise what stands there. Index: primary key.
 */
export async function takeKey(
  tx: Queryable,
  key: { scope: string; key: string; request_hash: Digest; ttl_seconds: number },
): Promise<IdempotencyRow | null> {
  const taken = await tx.query(
    `INSERT INTO idempotency_key AS stored (scope, key, request_hash, expires_at)
     VALUES ($1, $2, $3, now() + make_interval(secs => $4))
     ON CONFLICT (scope, key) DO UPDATE SET request_hash = excluded.request_hash, status = NULL, response = NULL,
       created_at = now(), expires_at = excluded.expires_at
     WHERE stored.expires_at < now() OR (stored.status IS NULL AND stored.created_at < now() - interval '2 minutes')`,
    [key.scope, key.key, key.request_hash, key.ttl_seconds],
  )
  if (taken.rowCount === 1) return null
  const { rows } = await tx.query<IdempotencyRow>(
    'SELECT request_hash, status, response FROM idempotency_key WHERE scope = $1 AND key = $2',
    [key.scope, key.key],
  )
  return rows[0] ?? null
}

export async function storeResponse(
  tx: Queryable,
  key: { scope: string; key: string; status: number; response: unknown },
): Promise<void> {
  await tx.query('UPDATE idempotency_key SET status = $3, response = $4 WHERE scope = $1 AND key = $2', [
    key.scope,
    key.key,
    key.status,
    JSON.stringify(key.response ?? null),
  ])
}

export async function dropKey(tx: Queryable, scope: string, key: string): Promise<void> {
  await tx.query('DELETE FROM idempotency_key WHERE scope = $1 AND key = $2 AND status IS NULL', [scope, key])
}
