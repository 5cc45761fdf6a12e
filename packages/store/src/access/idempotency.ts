import type { Digest } from '@limbeck/contracts'
import { dropKey, storeResponse, takeKey } from '../sql/idempotency.ts'
import type { Store } from '../store.ts'

export type IdempotentStart =
  | { kind: 'first' }
  /** The stored answer of the same request. */
  | { kind: 'replay'; status: number; response: unknown }
  /** The key belongs to another request. */
  | { kind: 'reused' }
  /** The first request has not ended; two minutes after its start its key is free again. */
  | { kind: 'in_progress' }

/** For requests whose effect is not in one transaction with their key; `submitRun` does it in its own. */
export async function beginIdempotent(
  store: Store,
  key: { scope: string; key: string; request_hash: Digest; ttl_seconds: number },
): Promise<IdempotentStart> {
  const stored = await takeKey(store.pool, key)
  if (stored === null) return { kind: 'first' }
  if (stored.request_hash !== key.request_hash) return { kind: 'reused' }
  return stored.status === null
    ? { kind: 'in_progress' }
    : { kind: 'replay', status: stored.status, response: stored.response }
}

export const finishIdempotent = (
  store: Store,
  key: { scope: string; key: string; status: number; response: unknown },
): Promise<void> => storeResponse(store.pool, key)

/** The request failed and may be made again under the same key. */
export const abandonIdempotent = (store: Store, key: { scope: string; key: string }): Promise<void> =>
  dropKey(store.pool, key.scope, key.key)
