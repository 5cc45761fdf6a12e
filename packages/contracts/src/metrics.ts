import { z } from 'zod'
import { Scalar, SeriesName, Timestamp } from './common.ts'
import { RunId, StageId } from './ids.ts'
import { StageName } from './recipe.ts'

const Step = z.int().min(0).max(1_000_000_000)

/** Idempotent by (stage, epoch, sequence): the same batch again is answered like the first time. */
export const MetricBatch = z
  .strictObject({
    epoch: z.int().min(1),
    sequence: z.int().min(0),
    scalars: z
      .array(
        z.strictObject({
          name: SeriesName,
          steps: z.array(Step).max(5000),
          values: z.array(Scalar).max(5000),
        }),
      )
      .max(500),
    arrays: z
      .array(z.strictObject({ name: SeriesName, step: Step, values: z.array(Scalar.nullable()).max(512) }))
      .max(2000),
  })
  .meta({ id: 'MetricBatch' })
export type MetricBatch = z.infer<typeof MetricBatch>

export const MetricReceipt = z
  .strictObject({
    accepted: z.int(),
    superseded: z.int().describe('steps that a newer attempt has logged already'),
    duplicate: z.boolean(),
  })
  .meta({ id: 'MetricReceipt' })

export const MetricQuery = z.strictObject({
  stage: StageId,
  name: SeriesName,
  from_step: z.coerce.number().int().min(0).optional(),
  to_step: z.coerce.number().int().min(0).optional(),
  max_points: z.coerce.number().int().min(2).max(5000).default(1200),
})

/** Buckets of equal width in steps; a bucket of one point has min = max = last. */
export const SeriesPoints = z
  .strictObject({
    stage: StageId,
    name: SeriesName,
    total_points: z.int().describe('points behind the answer'),
    buckets: z.array(
      z.strictObject({
        step: Step,
        last: Scalar,
        min: Scalar,
        max: Scalar,
        count: z.int(),
        non_finite: z.int(),
        epoch: z.int(),
      }),
    ),
  })
  .meta({ id: 'SeriesPoints' })

export const ArrayPoints = z
  .strictObject({
    stage: StageId,
    name: SeriesName,
    rows: z.array(z.strictObject({ step: Step, values: z.array(Scalar.nullable()) })),
  })
  .meta({ id: 'ArrayPoints' })

export const SeriesList = z
  .strictObject({
    run: RunId,
    series: z.array(
      z.strictObject({
        stage: StageId,
        stage_name: StageName,
        name: SeriesName,
        kind: z.enum(['scalar', 'array']),
        last_step: Step,
        last_value: Scalar.nullable(),
      }),
    ),
  })
  .meta({ id: 'SeriesList' })

export const LogLine = z
  .strictObject({
    time: Timestamp,
    stream: z.enum(['stdout', 'stderr', 'agent']),
    text: z.string().max(8000),
  })
  .meta({ id: 'LogLine' })
export const LogBatch = z
  .strictObject({ epoch: z.int().min(1), sequence: z.int().min(0), lines: z.array(LogLine).max(2000) })
  .meta({ id: 'LogBatch' })
export const LogPage = z
  .strictObject({
    stage: StageId,
    lines: z.array(
      LogLine.extend({ epoch: z.int(), number: z.int().describe('position in the stage, from 0') }),
    ),
    next: z.int().describe('pass as `from` to go on'),
  })
  .meta({ id: 'LogPage' })
export const LogQuery = z.strictObject({
  from: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(5000).default(1000),
})
