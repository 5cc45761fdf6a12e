import { z } from 'zod'
import { count, Name } from './common.ts'
import { StageSpec } from './stage-spec.ts'
import { ResourceClass } from './states.ts'

export const StageName = z
  .string()
  .regex(/^[a-z][a-z0-9_]{0,47}$/, 'must be 1-48 of a-z, 0-9, "_", starting with a letter')

/** `stage:<name>`: the output of another stage. `asset:<name>`: a registered data set or snapshot. */
export const InputReference = z
  .string()
  .regex(
    /^(stage:[a-z][a-z0-9_]{0,47}|asset:[a-z0-9][a-z0-9._-]{0,63})$/,
    'must be "stage:<stage name>" or "asset:<asset name>"',
  )
  .meta({ id: 'InputReference' })

export const RecipeStage = z
  .strictObject({
    name: StageName,
    spec: StageSpec,
    inputs: z.record(z.string().regex(/^[a-z_]{1,40}$/), InputReference).default({}),
    after: z
      .array(StageName)
      .max(64)
      .default([])
      .describe('waits for these too, without reading their output'),
    resource_class: ResourceClass.default('cpu'),
    max_seconds: count('longest duration of an attempt', 60 * 60 * 24 * 60).default(3600),
    stall_seconds: count('longest silence without progress', 86_400).default(600),
  })
  .meta({ id: 'RecipeStage' })
export type RecipeStage = z.infer<typeof RecipeStage>

/**
 * A gate is data: evaluated once when the run's other stages are done, stored with what it saw, so
 * that a later change of thresholds never rewrites history.
 */
export const GateMetric = z
  .discriminatedUnion('source', [
    z.strictObject({
      source: z.literal('evaluation'),
      stage: StageName,
      steps: count('which protocol of the stage', 1000),
      value: z.enum(['overall', 'held_out']),
    }),
    z.strictObject({ source: z.literal('metric'), stage: StageName, name: z.string().min(1).max(120) }),
  ])
  .meta({ id: 'GateMetric' })

export const Gate = z
  .strictObject({
    name: Name,
    metric: GateMetric,
    baseline: GateMetric.nullable()
      .default(null)
      .describe('measured minus this is compared; null: measured itself'),
    comparator: z.enum(['>=', '<=']),
    threshold: z.number(),
    rationale: z.string().max(500).describe('where the threshold comes from'),
  })
  .meta({ id: 'Gate' })
export type Gate = z.infer<typeof Gate>

export const Recipe = z
  .strictObject({
    name: Name,
    version: count('raised with every change', 1_000_000),
    summary: z.string().max(500),
    licences: z
      .array(z.string().max(200))
      .max(20)
      .default([])
      .describe('of data and teacher, carried into a release'),
    parameters: z
      .record(
        z.string().regex(/^[a-z][a-z0-9_]{0,40}$/),
        z.strictObject({
          summary: z.string().max(300),
          targets: z.array(z.string().max(200)).min(1).max(64),
        }),
      )
      .default({})
      .describe(
        'names for overrides that reach several stages: targets are dotted paths from the stage name',
      ),
    stages: z.array(RecipeStage).min(1).max(64),
    gates: z.array(Gate).max(64).default([]),
    release: z
      .strictObject({ model: StageName, decoder: StageName, package: StageName })
      .nullable()
      .default(null)
      .describe('which outputs a model version holds'),
  })
  .meta({ id: 'Recipe' })
export type Recipe = z.infer<typeof Recipe>

/** `distill.training.steps` or `model.attention` -> value. */
export const Overrides = z
  .record(
    z
      .string()
      .regex(/^[a-z][a-z0-9_]*(\.[a-zA-Z0-9_]+)*$/)
      .max(200),
    z.json(),
  )
  .meta({ id: 'Overrides' })
export type Overrides = z.infer<typeof Overrides>
