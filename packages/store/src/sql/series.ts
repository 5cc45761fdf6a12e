import type { StageId } from '@limbeck/contracts'
import type { Queryable } from '../transaction.ts'
import type { SeriesKind } from './metrics.ts'

export interface SeriesRow {
  stage_id: StageId
  stage_name: string
  name: string
  kind: SeriesKind
  last_step: number
  last_value: number | null
}

/** Never touches the history. Indexes: stage (run_id, name), series (stage_id, kind, name). */
export async function selectSeriesOfRun(db: Queryable, run: string): Promise<SeriesRow[]> {
  const { rows } = await db.query<SeriesRow>(
    `SELECT series.stage_id, stage.name AS stage_name, series.name, series.kind, series.last_step, series.last_value
     FROM stage JOIN series ON series.stage_id = stage.id
     WHERE stage.run_id = $1 ORDER BY stage.position, series.kind, series.name`,
    [run],
  )
  return rows
}

/** Index: unique (stage_id, kind, name). */
export async function selectSeriesId(
  db: Queryable,
  stage: string,
  kind: SeriesKind,
  name: string,
): Promise<number | null> {
  const { rows } = await db.query<{ id: number }>(
    'SELECT id FROM series WHERE stage_id = $1 AND kind = $2 AND name = $3',
    [stage, kind, name],
  )
  return rows[0]?.id ?? null
}

export interface BucketRow {
  step: number
  epoch: number
  last: number
  /** Of the finite values; null where there is none. */
  min: number | null
  max: number | null
  count: number
  non_finite: number
}

/**
 * Buckets of equal width in steps: deterministic, and neither a spike nor the first point is lost. x - x is 0 for finite x
 * only. The last value is looked up by its step rather than sorted for; MATERIALIZED
 * keeps the width from being computed for every point. Index: metric_scalar's primary key.
 */
export async function selectBuckets(
  db: Queryable,
  series: number,
  range: { from: number | null; to: number | null; max_points: number },
): Promise<BucketRow[]> {
  const { rows } = await db.query<BucketRow>(
    `WITH bounds AS (
       SELECT coalesce($2::int, (SELECT min(step) FROM metric_scalar WHERE series_id = $1)) AS low,
              coalesce($3::int, (SELECT max(step) FROM metric_scalar WHERE series_id = $1)) AS high
     ), width AS MATERIALIZED (
       SELECT low, high, greatest(1, (high - low + $4::int) / $4::int) AS steps FROM bounds
     ), bucket AS (
       SELECT max(step) AS step,
         min(value) FILTER (WHERE value - value = 0) AS min,
         max(value) FILTER (WHERE value - value = 0) AS max,
         count(*)::int AS count,
         (count(*) FILTER (WHERE value - value <> 0))::int AS non_finite
       FROM metric_scalar, width
       WHERE series_id = $1 AND step BETWEEN width.low AND width.high
       GROUP BY (step - width.low) / width.steps
     )
     SELECT bucket.*, point.value AS last, point.epoch
     FROM bucket JOIN metric_scalar AS point ON point.series_id = $1 AND point.step = bucket.step
     ORDER BY bucket.step`,
    [series, range.from, range.to, range.max_points],
  )
  return rows
}

/** The last row of each bucket of steps. Index: metric_array's primary key. */
export async function selectArrays(
  db: Queryable,
  series: number,
  range: { from: number | null; to: number | null; max_points: number },
): Promise<{ step: number; values: (number | null)[] }[]> {
  const { rows } = await db.query<{ step: number; values: (number | null)[] }>(
    `WITH bounds AS (
       SELECT coalesce($2::int, (SELECT min(step) FROM metric_array WHERE series_id = $1)) AS low,
              coalesce($3::int, (SELECT max(step) FROM metric_array WHERE series_id = $1)) AS high
     ), width AS MATERIALIZED (
       SELECT low, high, greatest(1, (high - low + $4::int) / $4::int) AS steps FROM bounds
     ), chosen AS (
       SELECT max(step) AS step FROM metric_array, width
       WHERE series_id = $1 AND step BETWEEN width.low AND width.high
       GROUP BY (step - width.low) / width.steps
     )
     SELECT step, values FROM metric_array JOIN chosen USING (step) WHERE series_id = $1 ORDER BY step`,
    [series, range.from, range.to, range.max_points],
  )
  return rows
}
