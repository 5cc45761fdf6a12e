import { z } from 'zod'
import { Digest, share } from './common.ts'
import { EvaluationProtocol } from './stage-spec.ts'

/** A 95 % percentile interval. */
export const Interval = z.tuple([z.number(), z.number()]).meta({ id: 'Interval' })

export const TagScore = z
  .strictObject({ score: share('correct images over images'), images: z.int().min(0), interval: Interval })
  .meta({ id: 'TagScore' })

/** A score beside the benchmark's own, on the same images; null with a reason where it was not run, never zero. */
export const ExtraScore = z
  .strictObject({
    scorer: z.enum(['clip-score', 'image-reward', 'frechet', 'kid']),
    name: z.string().max(400).describe('with everything that decides the number: backbone, template, scale'),
    value: z.number().nullable(),
    interval: Interval.nullable().describe('bootstrap over prompts; none for distances between sets'),
    not_run: z.string().nullable().describe('why there is no value'),
  })
  .meta({ id: 'ExtraScore' })

/** One benchmark under one protocol. */
export const EvaluationResult = z
  .strictObject({
    role: z.string().max(40),
    protocol: EvaluationProtocol,
    protocol_hash: Digest.describe('SHA-256 of the canonical JSON of the protocol'),
    parameters: z.int().min(0).describe('of the denoiser'),
    overall: share('unweighted mean of the tags'),
    interval: Interval.describe('bootstrap over prompts'),
    per_tag: z.record(z.string(), TagScore),
    held_out: TagScore.nullable().describe('prompts on held-out combinations, as one group'),
    verdicts: z
      .array(z.boolean())
      .max(100_000)
      .describe('correct per prompt in protocol order: for paired differences'),
    images_per_second: z.number().min(0),
    extra: z.array(ExtraScore).max(16).default([]),
  })
  .meta({ id: 'EvaluationResult' })

/** What a stage says about its output beside the artifact: small numbers, no bytes. */
export const StageResult = z
  .strictObject({
    metrics: z
      .record(z.string(), z.number())
      .default({})
      .describe('final figures by name, with the unit in the name'),
    warnings: z.array(z.string().max(1000)).max(100).default([]),
    evaluations: z.array(EvaluationResult).max(16).default([]),
  })
  .meta({ id: 'StageResult' })
export type StageResult = z.infer<typeof StageResult>
export type EvaluationResult = z.infer<typeof EvaluationResult>
