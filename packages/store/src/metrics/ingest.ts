import type { MetricBatch, MetricReceipt, StageId, WorkerId } from '@limbeck/contracts'
import { ok } from '@limbeck/core'
import type { z } from 'zod'
import { failure, type StoreFailure, type StoreResult } from '../failure.ts'
import {
  countSeries,
  mayReport,
  type SeriesUpdate,
  storeReceipt,
  takeReceipt,
  upsertArrays,
  upsertScalars,
  upsertSeries,
} from '../sql/metrics.ts'
import type { Store } from '../store.ts'
import { type Queryable, transaction } from '../transaction.ts'
import { numberOf } from './scalar.ts'

type Receipt = z.infer<typeof MetricReceipt>

/** Cardinality hurts a tracker before the number of points does. */
const MAX_SERIES = 2000

/** A refusal inside the transaction must undo what it has written. */
class Refused extends Error {
  readonly failure: { ok: false; error: StoreFailure }
  constructor(refusal: { ok: false; error: StoreFailure }) {
    super(refusal.error.detail)
    this.failure = refusal
  }
}

/**
 * Takes a batch of an attempt from the worker that holds it or held it within a day. Idempotent by sequence. Nothing is
 * dropped in silence: what a newer attempt has logged already is counted as superseded. Failures: lease_lost,
 * invalid_request.
 */
export async function ingestMetrics(
  store: Store,
  worker: WorkerId,
  stage: StageId,
  batch: MetricBatch,
): StoreResult<Receipt> {
  const uneven = batch.scalars.find(({ steps, values }) => steps.length !== values.length)
  if (uneven !== undefined)
    return failure(
      'invalid_request',
      `scalars of ${uneven.name}: ${uneven.steps.length} steps and ${uneven.values.length} values; they pair up`,
    )
  try {
    return ok(await transaction(store, (tx) => write(tx, worker, stage, batch)))
  } catch (error) {
    if (error instanceof Refused) return error.failure
    throw error
  }
}

async function write(tx: Queryable, worker: WorkerId, stage: StageId, batch: MetricBatch): Promise<Receipt> {
  const { epoch, sequence } = batch
  if (!(await mayReport(tx, { stage, epoch, worker })))
    throw new Refused(
      failure('lease_lost', `${worker} did not hold attempt ${epoch} of ${stage} within the last day`),
    )
  const receipt = { stage, epoch, kind: 'metrics' as const, sequence }
  const stored = await takeReceipt(tx, receipt)
  if (stored !== null) return { ...stored, duplicate: true }

  const scalars = batch.scalars
    .map(({ name, steps, values }) => ({
      name,
      // One statement cannot write a step twice; the later value of a batch wins, as it would by itself.
      points: new Map(steps.map((step, index) => [step, numberOf(values[index] ?? 'NaN')])),
    }))
    .filter(({ points }) => points.size > 0)
  const arrays = new Map(batch.arrays.map((row) => [`${row.step} ${row.name}`, row]))
  const ids = await upsertSeries(tx, stage, epoch, newest(scalars, [...arrays.values()]))
  const series = await countSeries(tx, stage)
  if (series > MAX_SERIES)
    throw new Refused(
      failure(
        'invalid_request',
        `${stage} would have ${series} series, at most ${MAX_SERIES} are allowed; the batch names ${[...ids.keys()].slice(-3).join(', ')}`,
      ),
    )

  const flat = { series: [] as number[], steps: [] as number[], values: [] as number[] }
  for (const { name, points } of scalars)
    for (const [step, value] of points) {
      flat.series.push(ids.get(`scalar ${name}`) ?? 0)
      flat.steps.push(step)
      flat.values.push(value)
    }
  const rows = [...arrays.values()].map(({ name, step, values }) => ({
    series: ids.get(`array ${name}`) ?? 0,
    step,
    values: `{${values.map((value) => (value === null ? 'NULL' : String(value))).join(',')}}`,
  }))
  const accepted =
    (flat.steps.length > 0 ? await upsertScalars(tx, epoch, flat) : 0) +
    (rows.length > 0 ? await upsertArrays(tx, epoch, rows) : 0)
  const superseded = flat.steps.length + rows.length - accepted
  await storeReceipt(tx, { ...receipt, accepted, superseded })
  return { accepted, superseded, duplicate: false }
}

function newest(
  scalars: readonly { name: string; points: Map<number, number> }[],
  arrays: MetricBatch['arrays'],
): SeriesUpdate[] {
  const updates = scalars.map(({ name, points }): SeriesUpdate => {
    const last_step = Math.max(...points.keys())
    return { name, kind: 'scalar', last_step, last_value: points.get(last_step) ?? null }
  })
  const steps = new Map<string, number>()
  for (const { name, step } of arrays) steps.set(name, Math.max(step, steps.get(name) ?? 0))
  return [
    ...new Map(updates.map((update) => [update.name, update])).values(),
    ...[...steps].map(
      ([name, last_step]): SeriesUpdate => ({ name, kind: 'array', last_step, last_value: null }),
    ),
  ]
}
