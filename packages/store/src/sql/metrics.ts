import type { Queryable } from '../transaction.ts'

export type SeriesKind = 'scalar' | 'array'

export interface SeriesUpdate {
  name: string
  kind: SeriesKind
  last_step: number
  last_value: number | null
}

/**
 * Makes the series that are new and keeps the newest value of each: of the newest attempt, then of the highest step.
 * Rows come sorted by name, so that two batches lock them in one order. Index: unique (stage_id, kind, name).
 */
export async function upsertSeries(
  tx: Queryable,
  stage: string,
  epoch: number,
  updates: readonly SeriesUpdate[],
): Promise<Map<string, number>> {
  const sorted = [...updates].sort((a, b) => (a.kind + a.name < b.kind + b.name ? -1 : 1))
  const { rows } = await tx.query<{ id: number; kind: SeriesKind; name: string }>(
    `INSERT INTO series AS stored (stage_id, kind, name, last_epoch, last_step, last_value)
     SELECT $1, new.kind, new.name, $2, new.step, new.value
     FROM unnest($3::text[], $4::text[], $5::int[], $6::float8[]) AS new (kind, name, step, value)
     ON CONFLICT (stage_id, kind, name) DO UPDATE SET
       last_epoch = greatest(stored.last_epoch, excluded.last_epoch),
       last_step = CASE WHEN (excluded.last_epoch, excluded.last_step) >= (stored.last_epoch, stored.last_step)
         THEN excluded.last_step ELSE stored.last_step END,
       last_value = CASE WHEN (excluded.last_epoch, excluded.last_step) >= (stored.last_epoch, stored.last_step)
         THEN excluded.last_value ELSE stored.last_value END
     RETURNING id, kind, name`,
    [
      stage,
      epoch,
      sorted.map((row) => row.kind),
      sorted.map((row) => row.name),
      sorted.map((row) => row.last_step),
      sorted.map((row) => row.last_value),
    ],
  )
  return new Map(rows.map((row) => [`${row.kind} ${row.name}`, row.id]))
}

/** Index: unique (stage_id, kind, name). */
export async function countSeries(tx: Queryable, stage: string): Promise<number> {
  const { rows } = await tx.query<{ count: number }>(
    'SELECT count(*)::int AS count FROM series WHERE stage_id = $1',
    [stage],
  )
  return rows[0]?.count ?? 0
}

/**
 * One statement for all points. A step that a newer attempt has logged stays: after a resume the newest wins, and the
 * answer counts what it superseded. Index: primary key. @returns points written
 */
export async function upsertScalars(
  tx: Queryable,
  epoch: number,
  points: { series: readonly number[]; steps: readonly number[]; values: readonly number[] },
): Promise<number> {
  const { rowCount } = await tx.query(
    `INSERT INTO metric_scalar AS stored (series_id, step, epoch, value)
     SELECT series, step, $1, value FROM unnest($2::int[], $3::int[], $4::float8[]) AS new (series, step, value)
     ON CONFLICT (series_id, step) DO UPDATE SET epoch = excluded.epoch, value = excluded.value
     WHERE stored.epoch <= excluded.epoch`,
    [epoch, points.series, points.steps, points.values],
  )
  return rowCount ?? 0
}

/** Rows of unequal length, so as JSON; an array is one row a step. Index: primary key. @returns rows written */
export async function upsertArrays(
  tx: Queryable,
  epoch: number,
  rows: readonly { series: number; step: number; values: string }[],
): Promise<number> {
  const { rowCount } = await tx.query(
    `INSERT INTO metric_array AS stored (series_id, step, epoch, values)
     SELECT series, step, $1, values::real[] FROM unnest($2::int[], $3::int[], $4::text[]) AS new (series, step, values)
     ON CONFLICT (series_id, step) DO UPDATE SET epoch = excluded.epoch, values = excluded.values
     WHERE stored.epoch <= excluded.epoch`,
    [epoch, rows.map((row) => row.series), rows.map((row) => row.step), rows.map((row) => row.values)],
  )
  return rowCount ?? 0
}

export interface ReceiptRow {
  accepted: number
  superseded: number
}

/** Takes a batch's number; a second batch of the number waits for the first. @returns null where it is new */
export async function takeReceipt(
  tx: Queryable,
  batch: { stage: string; epoch: number; kind: 'metrics' | 'logs'; sequence: number },
): Promise<ReceiptRow | null> {
  const key = [batch.stage, batch.epoch, batch.kind, batch.sequence]
  const { rowCount } = await tx.query(
    `INSERT INTO batch_receipt (stage_id, epoch, kind, sequence, accepted, superseded) VALUES ($1, $2, $3, $4, 0, 0)
     ON CONFLICT DO NOTHING`,
    key,
  )
  if (rowCount === 1) return null
  const { rows } = await tx.query<ReceiptRow>(
    `SELECT accepted, superseded FROM batch_receipt
     WHERE stage_id = $1 AND epoch = $2 AND kind = $3 AND sequence = $4`,
    key,
  )
  return rows[0] ?? { accepted: 0, superseded: 0 }
}

export async function storeReceipt(
  tx: Queryable,
  batch: { stage: string; epoch: number; kind: 'metrics' | 'logs'; sequence: number } & ReceiptRow,
): Promise<void> {
  await tx.query(
    `UPDATE batch_receipt SET accepted = $5, superseded = $6
     WHERE stage_id = $1 AND epoch = $2 AND kind = $3 AND sequence = $4`,
    [batch.stage, batch.epoch, batch.kind, batch.sequence, batch.accepted, batch.superseded],
  )
}

/** Whether the worker held this attempt, and holds it still or did within a day. Index: attempt's primary key. */
export async function mayReport(
  tx: Queryable,
  attempt: { stage: string; epoch: number; worker: string },
): Promise<boolean> {
  const { rows } = await tx.query(
    `SELECT 1 FROM attempt WHERE stage_id = $1 AND epoch = $2 AND worker_id = $3
       AND (ended_at IS NULL OR ended_at > now() - interval '1 day')`,
    [attempt.stage, attempt.epoch, attempt.worker],
  )
  return rows.length > 0
}
