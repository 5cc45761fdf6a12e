import { randomBytes } from 'node:crypto'
import type {
  ClaimId,
  EvaluationId,
  MeasurementId,
  ModelVersionId,
  PromotionId,
  RunId,
  StageId,
  TokenId,
  UploadId,
  VoteId,
  WorkerId,
} from '@limbeck/contracts'
import { makeId } from '@limbeck/core'

interface Ids {
  run: RunId
  stg: StageId
  wrk: WorkerId
  upl: UploadId
  evl: EvaluationId
  mdl: ModelVersionId
  prm: PromotionId
  tok: TokenId
  clm: ClaimId
  msr: MeasurementId
  vot: VoteId
}

/** A fresh id: the edge at which time and randomness enter. */
export const newId = <P extends keyof Ids>(prefix: P): Ids[P] =>
  makeId(prefix, Date.now(), randomBytes(10)) as Ids[P]
