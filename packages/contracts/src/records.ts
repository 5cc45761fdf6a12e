import { z } from 'zod'
import { Digest, Timestamp } from './common.ts'
import { EvaluationId, MeasurementId, VoteId } from './ids.ts'

const milliseconds = z.number().positive().max(1e6)

/** What a device measured of one package; the signature covers all of it. */
export const MeasurementBody = z.strictObject({
  program_sha256: Digest.describe(
    "of the package's program, as report.json and `limbeck export check` have it",
  ),
  package: z.string().min(1).max(120),
  device: z.string().min(1).max(80).describe('model, "iPhone 16 Pro Max"'),
  os: z.string().min(1).max(80),
  compute_units: z.enum(['cpuOnly', 'cpuAndGPU', 'cpuAndNeuralEngine', 'all']),
  warm_up: z.int().min(0).max(100_000).describe('runs before the first that counts'),
  runs: z.int().min(10).max(1_000_000),
  median_ms: milliseconds,
  p10_ms: milliseconds,
  p90_ms: milliseconds,
  peak_memory_bytes: z.int().min(0).nullable(),
  measured_at: Timestamp,
})
export type MeasurementBody = z.infer<typeof MeasurementBody>

export const MeasurementCreate = MeasurementBody.extend({
  signature: Digest.describe(
    "HMAC-SHA256 in hex: key the SHA-256 (32 bytes) of the device's token, message the canonical JSON (RFC 8785) of all other fields",
  ),
})
  .refine(({ p10_ms, median_ms, p90_ms }) => p10_ms <= median_ms && median_ms <= p90_ms, {
    path: ['median_ms'],
    message: 'must lie between p10_ms and p90_ms',
  })
  .meta({ id: 'MeasurementCreate' })

/** A measurement of a device; estimates are another thing and never in this list. */
export const MeasurementView = MeasurementBody.extend({
  id: MeasurementId,
  signature: Digest,
  kind: z.literal('measured'),
  token: z.string().describe("name of the device's token"),
  created_at: Timestamp,
}).meta({ id: 'MeasurementView' })
export type MeasurementView = z.infer<typeof MeasurementView>

export const MeasurementList = z
  .strictObject({ measurements: z.array(MeasurementView) })
  .meta({ id: 'MeasurementList' })

/** One picture of a pair: a tile of an evaluation's sheet (`sheet.json` beside it has the prompt). */
const Side = z.strictObject({
  artifact: Digest,
  path: z.string(),
  tile: z.int().min(0),
})

/** Two pictures of one prompt from the same noise; which is whose is not said. */
export const PreferencePair = z
  .strictObject({
    evaluations: z.tuple([EvaluationId, EvaluationId]).describe('sorted: says nothing about the sides'),
    place: z.int().min(0),
    left: Side,
    right: Side,
  })
  .meta({ id: 'PreferencePair' })

export const PreferenceNext = z
  .strictObject({
    pair: PreferencePair.nullable().describe('null: the caller has voted on every pair'),
    voted: z.int().min(0).describe("the caller's votes among these evaluations"),
    pairs: z.int().min(0).describe('all pairs'),
  })
  .meta({ id: 'PreferenceNext' })

export const VoteCreate = z
  .strictObject({
    evaluations: z
      .tuple([EvaluationId, EvaluationId])
      .refine(([first, second]) => first !== second, 'names an evaluation twice'),
    place: z.int().min(0).max(100_000),
    choice: z.enum(['left', 'right', 'tie']),
  })
  .meta({ id: 'VoteCreate' })

export const VoteView = z
  .strictObject({ id: VoteId, created_at: Timestamp })
  .meta({ id: 'VoteView', description: 'which model was chosen is not said: votes stay blind' })

export const PreferenceResult = z
  .strictObject({
    votes: z.int().min(0),
    voters: z.int().min(0),
    connected: z
      .boolean()
      .describe('whether comparisons lead from each model to each other; without, no strength'),
    models: z.array(
      z.strictObject({
        evaluation: EvaluationId,
        role: z.string(),
        wins: z.int().min(0),
        losses: z.int().min(0),
        ties: z.int().min(0),
        strength: z
          .number()
          .nullable()
          .describe('Bradley-Terry log-strength, mean 0: a wins over b with 1 / (1 + exp(b - a))'),
        interval: z.tuple([z.number(), z.number()]).nullable().describe('95 %, from the Fisher information'),
      }),
    ),
  })
  .meta({ id: 'PreferenceResult' })
