import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import { PrismaClient } from './generated/client.ts'

/** How long things may take, in seconds; the database's clock counts. Tests shorten them. */
export interface Timing {
  /** A lease without a heartbeat ends after this. */
  readonly lease_seconds: number
  /** A running stage whose cancel was asked for is revoked after this. */
  readonly cancel_seconds: number
  /** A replica that did not stamp itself for this long is down. */
  readonly liveness_seconds: number
  /** First delay after a failure; doubles with each one of its class. */
  readonly backoff_base_seconds: number
  readonly backoff_cap_seconds: number
}

export const DEFAULT_TIMING: Timing = {
  lease_seconds: 30,
  cancel_seconds: 30,
  liveness_seconds: 10,
  backoff_base_seconds: 2,
  backoff_cap_seconds: 300,
}

/** A connection to Postgres with what the writer of state needs beside it. */
export interface Store {
  readonly pool: pg.Pool
  /** Plain reads and writes, over the same pool; state and hot paths go through the statements of sql/. */
  readonly prisma: PrismaClient
  readonly timing: Timing
  /** Uniform in [0, 1): the jitter of back-off. */
  readonly random: () => number
}

export interface StoreOptions {
  /** postgresql:// URL. */
  readonly url: string
  /** Connections of this process; default 10. (replicas x max) x 2 must stay below max_connections. */
  readonly max_connections?: number
  readonly timing?: Partial<Timing>
  readonly random?: () => number
  /** A pooled connection broke while idle; the pool replaces it. Default: ignored. */
  readonly on_error?: (error: Error) => void
}

export function openStore(options: StoreOptions): Store {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.max_connections ?? 10,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 30_000,
    query_timeout: 30_000,
    statement_timeout: 30_000,
    application_name: 'limbeck',
  })
  pool.on('error', options.on_error ?? (() => {}))
  return {
    pool,
    prisma: new PrismaClient({ adapter: new PrismaPg(pool) }),
    timing: { ...DEFAULT_TIMING, ...options.timing },
    random: options.random ?? Math.random,
  }
}

export async function closeStore(store: Store): Promise<void> {
  await store.prisma.$disconnect()
  await store.pool.end()
}

/** Answers when the database works, with a statement that reads a table of ours. @throws Error */
export async function pingStore(store: Store): Promise<void> {
  await store.pool.query('SELECT 1 FROM project LIMIT 1')
}
