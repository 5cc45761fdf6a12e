import type { CachePolicy, Digest, StageResult } from '@limbeck/contracts'
import { isLive, isQueued } from '@limbeck/core'
import type { z } from 'zod'
import type { RunRow, StageRow, WorkerRow } from '../rows.ts'
import type { Queryable } from '../transaction.ts'
import { stateIs } from './states.ts'

/** First argument of the advisory locks: what the second one is a hash of. */
const CLASS_LOCK = 1
const KEY_LOCK = 2

/**
 * One claim at a time in each class, always in the order of names so that two workers of several classes never wait for
 * each other. A statement of its own: one that waited for the lock would still see the rows of before.
 */
export async function lockClasses(tx: Queryable, classes: readonly string[]): Promise<void> {
  for (const name of [...classes].sort())
    await tx.query('SELECT pg_advisory_xact_lock($1, hashtext($2))', [CLASS_LOCK, name])
}

/** Whether this transaction is the only one that decides about this cache key. */
export async function tryLockKey(tx: Queryable, key: Digest): Promise<boolean> {
  const { rows } = await tx.query<{ locked: boolean }>(
    'SELECT pg_try_advisory_xact_lock($1, hashtext($2)) AS locked',
    [KEY_LOCK, key],
  )
  return rows[0]?.locked ?? false
}

export interface Candidate {
  stage: StageRow
  run: Pick<RunRow, 'id' | 'assets' | 'cache' | 'cache_salt'>
  /** Stage name -> output, of the stages it needs. */
  outputs: Record<string, Digest>
}

/**
 * Due stages that this worker can take, best first: priority, then age. A pinned stage goes to equal workers only, and one
 * whose newest checkpoint is still being hashed waits a minute at most rather than lose the steps.
 * Index: stage_queued_partial.
 */
export async function selectCandidates(
  tx: Queryable,
  worker: WorkerRow,
  limit: number,
): Promise<Candidate[]> {
  const { rows } = await tx.query<
    StageRow & {
      run_assets: RunRow['assets']
      run_cache: z.infer<typeof CachePolicy>
      run_salt: string
      outputs: Record<string, Digest> | null
    }
  >(
    `SELECT stage.*, run.assets AS run_assets, run.cache AS run_cache, run.cache_salt AS run_salt,
       (SELECT jsonb_object_agg(need.name, need.output_digest) FROM stage AS need
        WHERE need.run_id = stage.run_id AND need.name = ANY(stage.needs) AND need.output_digest IS NOT NULL
       ) AS outputs
     FROM stage JOIN run ON run.id = stage.run_id
     WHERE ${stateIs(isQueued, 'stage.state')}
       AND stage.resource_class = ANY($1::text[])
       AND stage.project = $2
       AND stage.next_attempt_at <= now()
       AND (stage.code_digest IS NULL OR (stage.code_digest = $3 AND stage.environment_digest = $4))
       AND NOT EXISTS (
         SELECT FROM checkpoint JOIN upload ON upload.sha256 = checkpoint.digest
         WHERE checkpoint.stage_id = stage.id AND checkpoint.epoch = stage.epoch AND upload.state = 'completed'
           AND upload.updated_at > now() - interval '1 minute')
     ORDER BY stage.priority DESC, stage.created_at, stage.position
     LIMIT $5`,
    [worker.resource_classes, worker.project, worker.code_digest, worker.environment_digest, limit],
  )
  return rows.map(({ run_assets, run_cache, run_salt, outputs, ...stage }) => ({
    stage,
    run: { id: stage.run_id, assets: run_assets, cache: run_cache, cache_salt: run_salt },
    outputs: outputs ?? {},
  }))
}

/** An identical stage that will write the cache is being computed: this one waits for it. Index: stage_in_flight_partial. */
export async function isInFlight(tx: Queryable, key: Digest, stage: string): Promise<boolean> {
  const { rows } = await tx.query(
    `SELECT 1 FROM stage JOIN run ON run.id = stage.run_id
     WHERE stage.cache_key = $1 AND stage.id <> $2 AND run.cache <> 'off' AND ${stateIs(isLive, 'stage.state')}
     LIMIT 1`,
    [key, stage],
  )
  return rows.length > 0
}

/** Only where the output is still stored and verified. Index: primary keys. */
export async function selectCacheEntry(
  tx: Queryable,
  key: Digest,
): Promise<{ output_digest: Digest; result: StageResult } | null> {
  const { rows } = await tx.query<{ output_digest: Digest; result: StageResult }>(
    `SELECT cache_entry.output_digest, cache_entry.result
     FROM cache_entry JOIN artifact ON artifact.digest = cache_entry.output_digest
     WHERE cache_entry.key = $1`,
    [key],
  )
  return rows[0] ?? null
}

/** `replace`: the run asked for a refresh; otherwise the first one stays. */
export async function upsertCacheEntry(
  tx: Queryable,
  entry: {
    key: Digest
    project: string
    output: Digest
    result: StageResult
    stage: string
    replace: boolean
  },
): Promise<void> {
  await tx.query(
    `INSERT INTO cache_entry (key, project, output_digest, result, stage_id) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (key) DO UPDATE SET output_digest = excluded.output_digest, result = excluded.result,
       stage_id = excluded.stage_id, created_at = now()
     WHERE $6::boolean OR NOT EXISTS (SELECT FROM artifact WHERE digest = cache_entry.output_digest)`,
    [entry.key, entry.project, entry.output, JSON.stringify(entry.result), entry.stage, entry.replace],
  )
}
