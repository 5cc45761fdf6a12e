import { z } from 'zod'
import { Digest, Name, Timestamp } from './common.ts'
import { RunId, StageId, WorkerId } from './ids.ts'
import { InputReference, Overrides, Recipe, StageName } from './recipe.ts'
import { StageResult } from './stage-result.ts'
import { StageKind, StageSpec } from './stage-spec.ts'
import { EndReason, ResourceClass, RunState, StageState } from './states.ts'

export const CachePolicy = z
  .enum(['use', 'refresh', 'off'])
  .describe('use: take and write; refresh: write only; off: neither')

/** POST /v1/runs. `recipe` is a preset's name or a whole recipe. */
export const RunCreate = z
  .strictObject({
    recipe: z.union([Name, Recipe]),
    overrides: Overrides.default({}),
    label: z.string().max(120).default(''),
    priority: z.int().min(0).max(100).default(50).describe('higher goes first'),
    cache: CachePolicy.default('use'),
    cache_salt: z.string().max(120).default(''),
  })
  .meta({ id: 'RunCreate' })
export type RunCreate = z.infer<typeof RunCreate>

export const ProgressView = z
  .strictObject({
    step: z.int().min(0),
    total: z.int().min(0),
    images_per_second: z.number().nullable(),
    loss: z.number().nullable(),
    at: Timestamp,
  })
  .meta({ id: 'ProgressView' })

export const AttemptView = z
  .strictObject({
    epoch: z.int().min(1),
    worker: WorkerId,
    worker_name: z.string(),
    started_at: Timestamp,
    ended_at: Timestamp.nullable(),
    outcome: z.enum(['succeeded', 'failed', 'lost', 'released', 'cancelled']).nullable(),
    reason: EndReason.nullable(),
    message: z.string().nullable(),
    resumed_from_step: z.int().nullable(),
    last_checkpoint_step: z.int().nullable(),
  })
  .meta({ id: 'AttemptView' })

export const StageView = z
  .strictObject({
    id: StageId,
    run: RunId,
    name: StageName,
    kind: StageKind,
    state: StageState,
    epoch: z.int().min(0),
    cached: z.boolean(),
    resource_class: ResourceClass,
    needs: z.array(StageName),
    reason: EndReason.nullable(),
    message: z.string().nullable().describe('one sentence: why it ended, or why it waits'),
    last_log_lines: z.array(z.string()).describe('of the last failed attempt, at most 50'),
    cancel_requested_at: Timestamp.nullable(),
    next_attempt_at: Timestamp.nullable(),
    created_at: Timestamp,
    started_at: Timestamp.nullable(),
    ended_at: Timestamp.nullable(),
    seconds: z.number().nullable().describe('from first claim to end'),
    progress: ProgressView.nullable(),
    output: Digest.nullable(),
    result: StageResult.nullable(),
    attempts: z.array(AttemptView),
  })
  .meta({ id: 'StageView' })
export type StageView = z.infer<typeof StageView>

export const StageDetail = StageView.extend({
  spec: StageSpec,
  inputs: z.record(z.string(), InputReference),
}).meta({ id: 'StageDetail' })

/** What a list shows of a run's work; null where there is none yet. */
export const RunFigures = z
  .strictObject({
    step: z.int().nullable().describe('of the running stage'),
    total: z.int().nullable(),
    task_loss: z.number().nullable().describe('newest loss/task of the latest stage that has one'),
    overall: z.number().nullable().describe('newest evaluation'),
  })
  .meta({ id: 'RunFigures' })

export const RunSummary = z
  .strictObject({
    id: RunId,
    project: Name,
    recipe: Name,
    recipe_version: z.int(),
    label: z.string(),
    state: RunState,
    priority: z.int(),
    cache: CachePolicy,
    submitted_by: z.string(),
    created_at: Timestamp,
    started_at: Timestamp.nullable(),
    ended_at: Timestamp.nullable(),
    stages_by_state: z.record(z.string(), z.int()),
    figures: RunFigures,
  })
  .meta({ id: 'RunSummary' })

export const RunView = RunSummary.extend({ overrides: Overrides, stages: z.array(StageView) }).meta({
  id: 'RunView',
})
export type RunSummary = z.infer<typeof RunSummary>
export type RunView = z.infer<typeof RunView>

export const RunListQuery = z.strictObject({
  state: RunState.optional(),
  recipe: Name.optional(),
  label: z.string().max(120).optional(),
  text: z
    .string()
    .min(1)
    .max(120)
    .optional()
    .describe('part of recipe, label or submitter, in any case; or how the id begins'),
  cursor: z.string().max(200).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
})
export const RunList = z
  .strictObject({ runs: z.array(RunSummary), next_cursor: z.string().nullable() })
  .meta({ id: 'RunList' })

/** POST /v1/runs/cancel. */
export const RunsCancel = z.strictObject({ runs: z.array(RunId).min(1).max(500) }).meta({ id: 'RunsCancel' })
export const RunsCancelled = z
  .strictObject({
    cancelled: z.array(RunId).describe('their cancel is stored, or was before'),
    refused: z.array(z.strictObject({ run: RunId, reason: z.string() })),
  })
  .meta({ id: 'RunsCancelled' })

/** POST /v1/runs/plan: what a submission would become. Nothing is stored. */
export const RunPlan = z
  .strictObject({
    stages: z.array(
      z.strictObject({
        name: StageName,
        kind: StageKind,
        resource_class: ResourceClass,
        seconds: z
          .number()
          .nullable()
          .describe('median of the last 20 that succeeded with this kind, class and name; null: none yet'),
        steps: z.int().nullable().describe('updates, of a training stage'),
        images: z.int().nullable().describe('steps times the batch'),
      }),
    ),
    issues: z.array(z.strictObject({ path: z.string(), message: z.string() })),
  })
  .meta({ id: 'RunPlan' })

/** POST /v1/runs/{run}/retry: reopens failed, cancelled and skipped stages with fresh budgets. */
export const RetryRequest = z
  .strictObject({ stages: z.array(StageName).max(64).optional() })
  .meta({ id: 'RetryRequest' })
