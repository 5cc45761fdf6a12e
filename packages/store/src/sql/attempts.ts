import type { Digest, EndReason, StageId, WorkerId } from '@limbeck/contracts'
import type { AttemptOutcome, AttemptRow } from '../rows.ts'
import type { Queryable } from '../transaction.ts'

export async function insertAttempt(
  tx: Queryable,
  attempt: Pick<
    AttemptRow,
    'stage_id' | 'epoch' | 'worker_id' | 'code_digest' | 'environment_digest' | 'resumed_from_step'
  >,
): Promise<void> {
  await tx.query(
    `INSERT INTO attempt (stage_id, epoch, worker_id, code_digest, environment_digest, resumed_from_step)
     VALUES ($1, $2, $3, $4, $5, $6)`,
    [
      attempt.stage_id,
      attempt.epoch,
      attempt.worker_id,
      attempt.code_digest,
      attempt.environment_digest,
      attempt.resumed_from_step,
    ],
  )
}

/** Index: primary key. */
export async function selectAttempt(db: Queryable, stage: string, epoch: number): Promise<AttemptRow | null> {
  const { rows } = await db.query<AttemptRow>('SELECT * FROM attempt WHERE stage_id = $1 AND epoch = $2', [
    stage,
    epoch,
  ])
  return rows[0] ?? null
}

/** Once: a trigger refuses to change an ended attempt. */
export async function endAttempt(
  tx: Queryable,
  stage: string,
  epoch: number,
  end: { outcome: AttemptOutcome; reason: EndReason | null; message: string | null },
): Promise<void> {
  await tx.query(
    `UPDATE attempt SET ended_at = now(), outcome = $3, reason = $4, message = $5
     WHERE stage_id = $1 AND epoch = $2 AND ended_at IS NULL`,
    [stage, epoch, end.outcome, end.reason, end.message],
  )
}

export async function setAttemptOutput(
  tx: Queryable,
  stage: string,
  epoch: number,
  output: Digest,
): Promise<void> {
  await tx.query('UPDATE attempt SET output_digest = $3 WHERE stage_id = $1 AND epoch = $2', [
    stage,
    epoch,
    output,
  ])
}

export async function insertCheckpoint(
  tx: Queryable,
  checkpoint: { stage: string; epoch: number; step: number; digest: Digest },
): Promise<void> {
  await tx.query(
    `INSERT INTO checkpoint (stage_id, epoch, step, digest) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
    [checkpoint.stage, checkpoint.epoch, checkpoint.step, checkpoint.digest],
  )
  await tx.query(
    `UPDATE attempt SET last_checkpoint_step = $3
     WHERE stage_id = $1 AND epoch = $2 AND coalesce(last_checkpoint_step, -1) < $3`,
    [checkpoint.stage, checkpoint.epoch, checkpoint.step],
  )
}

/**
 * The furthest verified checkpoint that equal code on equal hardware wrote: state of other code would make the output
 * something that its cache key does not say. Index: checkpoint's primary key.
 */
export async function selectResume(
  db: Queryable,
  stage: string,
  pins: { code_digest: Digest; environment_digest: Digest },
): Promise<{ digest: Digest; step: number } | null> {
  const { rows } = await db.query<{ digest: Digest; step: number }>(
    `SELECT checkpoint.digest, checkpoint.step
     FROM checkpoint
     JOIN attempt USING (stage_id, epoch)
     JOIN artifact ON artifact.digest = checkpoint.digest AND artifact.kind = 'tree'
     WHERE checkpoint.stage_id = $1 AND attempt.code_digest = $2 AND attempt.environment_digest = $3
     ORDER BY checkpoint.step DESC, checkpoint.epoch DESC
     LIMIT 1`,
    [stage, pins.code_digest, pins.environment_digest],
  )
  return rows[0] ?? null
}

/** Index: primary key. */
export async function selectClaim(
  db: Queryable,
  claim: string,
): Promise<{ stage_id: StageId; epoch: number; worker_id: WorkerId } | null> {
  const { rows } = await db.query<{ stage_id: StageId; epoch: number; worker_id: WorkerId }>(
    'SELECT stage_id, epoch, worker_id FROM claim WHERE id = $1',
    [claim],
  )
  return rows[0] ?? null
}

export async function insertClaim(
  tx: Queryable,
  claim: { id: string; worker: string; stage: string; epoch: number },
): Promise<void> {
  await tx.query('INSERT INTO claim (id, worker_id, stage_id, epoch) VALUES ($1, $2, $3, $4)', [
    claim.id,
    claim.worker,
    claim.stage,
    claim.epoch,
  ])
}
