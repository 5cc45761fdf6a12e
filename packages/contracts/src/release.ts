import { z } from 'zod'
import { Digest, Name, Timestamp } from './common.ts'
import { EvaluationId, ModelVersionId, PromotionId, RunId, StageId } from './ids.ts'
import { Gate, StageName } from './recipe.ts'
import { EvaluationResult } from './stage-result.ts'

export const EvaluationView = EvaluationResult.extend({
  id: EvaluationId,
  run: RunId,
  stage: StageId,
  stage_name: StageName,
  model: Digest.nullable(),
  created_at: Timestamp,
}).meta({
  id: 'EvaluationView',
})
export const EvaluationList = z
  .strictObject({ evaluations: z.array(EvaluationView) })
  .meta({ id: 'EvaluationList' })

export const GENEVAL_TASKS = [
  'single_object',
  'two_object',
  'counting',
  'colors',
  'position',
  'color_attr',
] as const

/** What others published of a model, under protocols of their own: shown beside results, never compared with them. */
export const PublishedModel = z
  .strictObject({
    model: z.string(),
    parameters: z.number().describe('of the denoiser, as published'),
    geneval: z.strictObject({
      overall: z.number().min(0).max(1),
      tasks: z.record(z.string(), z.number().min(0).max(1)).nullable(),
    }),
    dpg: z.number().min(0).max(100),
    clip_score: z.number().describe('cosine; backbone not stated'),
    source: z.string(),
    note: z.string().nullable(),
    protocol: z.literal('published'),
  })
  .meta({ id: 'PublishedModel' })
export type PublishedModel = z.infer<typeof PublishedModel>

export const PublishedList = z.strictObject({ models: z.array(PublishedModel) }).meta({ id: 'PublishedList' })

export const GateResult = z
  .strictObject({
    name: Name,
    gate: Gate,
    measured: z.number().nullable().describe('null: not measured, which never passes'),
    required: z.string().describe('comparator and threshold, ">= 55"'),
    passed: z.boolean(),
    detail: z.string().describe('what was compared, in a sentence'),
  })
  .meta({ id: 'GateResult' })
export type GateResult = z.infer<typeof GateResult>

/** What a run leaves to promote. */
export const ModelVersionView = z
  .strictObject({
    id: ModelVersionId,
    name: Name,
    version: z.int().min(1),
    run: RunId,
    model: Digest,
    decoder: Digest,
    package: Digest,
    gates: z.array(GateResult),
    promotable: z.boolean(),
    aliases: z.array(Name),
    created_at: Timestamp,
  })
  .meta({ id: 'ModelVersionView' })
export const ModelVersionList = z
  .strictObject({ models: z.array(ModelVersionView) })
  .meta({ id: 'ModelVersionList' })

export const PromotionCreate = z
  .strictObject({
    model_version: ModelVersionId,
    alias: z.enum(['mobile-canary', 'mobile-release']),
    reason: z.string().max(500).default(''),
  })
  .meta({ id: 'PromotionCreate' })

/** Everything a release stands for; its canonical JSON is the release artifact. */
export const ReleaseManifest = z
  .strictObject({
    format: z.literal('limbeck-release-1'),
    alias: Name,
    model_version: ModelVersionId,
    name: Name,
    version: z.int(),
    run: RunId,
    recipe: z.strictObject({ name: Name, version: z.int(), digest: Digest }),
    model: Digest,
    decoder: Digest,
    package: Digest,
    lineage: z.array(
      z.strictObject({
        stage: StageName,
        kind: z.string(),
        output: Digest,
        cache_key: Digest.nullable(),
        inputs: z.record(z.string(), Digest),
      }),
    ),
    assets: z.array(z.strictObject({ name: Name, digest: Digest, licence: z.string() })),
    evaluations: z.array(EvaluationResult.omit({ verdicts: true })),
    gates: z.array(GateResult),
    licences: z.array(z.string()),
    promoted_by: z.string(),
    promoted_at: Timestamp,
  })
  .meta({ id: 'ReleaseManifest' })

export const PromotionView = z
  .strictObject({
    id: PromotionId,
    alias: Name,
    model_version: ModelVersionId,
    previous: ModelVersionId.nullable(),
    manifest: Digest,
    promoted_by: z.string(),
    reason: z.string(),
    created_at: Timestamp,
  })
  .meta({ id: 'PromotionView' })
export const PromotionList = z
  .strictObject({ promotions: z.array(PromotionView) })
  .meta({ id: 'PromotionList' })
export const ReleaseView = z
  .strictObject({ alias: Name, promotion: PromotionView, manifest: ReleaseManifest })
  .meta({ id: 'ReleaseView' })

export type EvaluationView = z.infer<typeof EvaluationView>
export type ModelVersionView = z.infer<typeof ModelVersionView>
export type PromotionView = z.infer<typeof PromotionView>
export type ReleaseManifest = z.infer<typeof ReleaseManifest>
