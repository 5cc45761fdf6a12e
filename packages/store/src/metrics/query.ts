import type { ArrayPoints, SeriesList, SeriesPoints, StageId } from '@limbeck/contracts'
import { ok } from '@limbeck/core'
import type { z } from 'zod'
import { notFound, type StoreResult } from '../failure.ts'
import { selectRunSummary } from '../sql/run-views.ts'
import { selectStage } from '../sql/runs.ts'
import { selectArrays, selectBuckets, selectSeriesId, selectSeriesOfRun } from '../sql/series.ts'
import type { Store } from '../store.ts'
import { scalarOf } from './scalar.ts'

export interface SeriesQuery {
  stage: string
  name: string
  from_step?: number | undefined
  to_step?: number | undefined
  max_points: number
}

/** Names with their newest value, in the order of the stages. Failure: not_found. */
export async function listSeries(
  store: Store,
  project: string,
  run: string,
): StoreResult<z.infer<typeof SeriesList>> {
  const summary = await selectRunSummary(store.pool, project, run)
  if (summary === null) return notFound('run', run)
  const rows = await selectSeriesOfRun(store.pool, run)
  return ok({
    run: summary.id,
    series: rows.map((row) => ({
      stage: row.stage_id,
      stage_name: row.stage_name,
      name: row.name,
      kind: row.kind,
      last_step: row.last_step,
      last_value: row.last_value === null ? null : scalarOf(row.last_value),
    })),
  })
}

async function findSeries(store: Store, project: string, query: SeriesQuery, kind: 'scalar' | 'array') {
  const stage = await selectStage(store.pool, query.stage)
  return stage === null || stage.project !== project
    ? null
    : selectSeriesId(store.pool, query.stage, kind, query.name)
}

const rangeOf = ({ from_step, to_step, max_points }: SeriesQuery) => ({
  from: from_step ?? null,
  to: to_step ?? null,
  max_points,
})

/** At most max_points buckets; min and max are of the finite values, all three are the last where none is finite. Failure: not_found. */
export async function querySeries(
  store: Store,
  project: string,
  query: SeriesQuery,
): StoreResult<z.infer<typeof SeriesPoints>> {
  const series = await findSeries(store, project, query, 'scalar')
  if (series === null) return notFound('scalar series of the stage', query.name)
  const rows = await selectBuckets(store.pool, series, rangeOf(query))
  return ok({
    stage: query.stage as StageId,
    name: query.name,
    total_points: rows.reduce((sum, row) => sum + row.count, 0),
    buckets: rows.map((row) => ({
      step: row.step,
      last: scalarOf(row.last),
      min: scalarOf(row.min ?? row.last),
      max: scalarOf(row.max ?? row.last),
      count: row.count,
      non_finite: row.non_finite,
      epoch: row.epoch,
    })),
  })
}

/** At most max_points rows, evenly by step. Failure: not_found. */
export async function queryArrays(
  store: Store,
  project: string,
  query: SeriesQuery,
): StoreResult<z.infer<typeof ArrayPoints>> {
  const series = await findSeries(store, project, query, 'array')
  if (series === null) return notFound('array series of the stage', query.name)
  const rows = await selectArrays(store.pool, series, rangeOf(query))
  return ok({
    stage: query.stage as StageId,
    name: query.name,
    rows: rows.map(({ step, values }) => ({
      step,
      values: values.map((value) => (value === null ? null : scalarOf(value))),
    })),
  })
}
