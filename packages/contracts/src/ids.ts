import { z } from 'zod'

/**
 * Ids are prefixed, sortable by creation (ULID) and branded: `run_01j...`.
 * The prefix tells a reader of a log what a bare id is.
 */
const id = <P extends string>(prefix: P) =>
  z
    .string()
    .regex(
      new RegExp(`^${prefix}_[0-9a-hjkmnp-tv-z]{26}$`),
      `must be "${prefix}_" and 26 characters of Crockford base 32`,
    )
    .brand<P>()

export const RunId = id('run')
export const StageId = id('stg')
export const WorkerId = id('wrk')
export const UploadId = id('upl')
export const EvaluationId = id('evl')
export const ModelVersionId = id('mdl')
export const PromotionId = id('prm')
export const TokenId = id('tok')
export const ClaimId = id('clm')
export const MeasurementId = id('msr')
export const VoteId = id('vot')

export type RunId = z.infer<typeof RunId>
export type StageId = z.infer<typeof StageId>
export type WorkerId = z.infer<typeof WorkerId>
export type UploadId = z.infer<typeof UploadId>
export type EvaluationId = z.infer<typeof EvaluationId>
export type ModelVersionId = z.infer<typeof ModelVersionId>
export type PromotionId = z.infer<typeof PromotionId>
export type TokenId = z.infer<typeof TokenId>
export type ClaimId = z.infer<typeof ClaimId>
export type MeasurementId = z.infer<typeof MeasurementId>
export type VoteId = z.infer<typeof VoteId>
