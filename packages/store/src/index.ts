/**
 * The one writer of state. Expected failures are values whose `code` is one of the problem catalogue's; exceptions are
 * bugs and a server that does not answer. Views are wire types of @limbeck/contracts.
 */
export { recordAudit } from './access/audit.ts'
export { deleteExpired } from './access/expired.ts'
export {
  abandonIdempotent,
  beginIdempotent,
  finishIdempotent,
  type IdempotentStart,
} from './access/idempotency.ts'
export {
  createLoginCode,
  createToken,
  ensureProject,
  findToken,
  listTokens,
  newTokenSecret,
  revokeToken,
  useLoginCode,
} from './access/tokens.ts'
export {
  artifactStates,
  createUpload,
  findArtifacts,
  findUploads,
  listCompletedUploads,
  listStaleUploads,
  markUploadAborted,
  markUploadCompleted,
  settleUpload,
  type UploadVerdict,
} from './content/artifacts.ts'
export { createAsset, listAssets } from './content/assets.ts'
export { type FeedEvent, latestCursor, readEvents, relayEvents, type UndeliveredEvent } from './events.ts'
export type { StoreFailure, StoreResult } from './failure.ts'
export { databaseFault } from './fault.ts'
export { newId } from './ids.ts'
export { reportCheckpoint } from './leases/checkpoint.ts'
export { claimStage } from './leases/claim.ts'
export { completeStage } from './leases/complete.ts'
export type { Fence } from './leases/fence.ts'
export { type HeartbeatAction, heartbeat, peekHeartbeat } from './leases/heartbeat.ts'
export { listQueues } from './leases/queues.ts'
export { failStage, releaseStage } from './leases/report-end.ts'
export { drainWorker, findWorkerClasses, listWorkers, registerWorker } from './leases/workers.ts'
export { ingestMetrics } from './metrics/ingest.ts'
export { appendLogs, readLogs } from './metrics/logs.ts'
export { listSeries, queryArrays, querySeries, type SeriesQuery } from './metrics/query.ts'
export { leaveLeadership, takeLeadership } from './reconcile/leader.ts'
export {
  countDueStages,
  enforceTimeouts,
  expireLeases,
  forceCancels,
  removeApiLiveness,
  stampApiLiveness,
  unblockStages,
} from './reconcile/sweeps.ts'
export { settleVerifications } from './reconcile/verify.ts'
export { listEvaluations } from './registry/evaluations.ts'
export { type GatesStage, listGatesStages, settleGates } from './registry/gates.ts'
export { listMeasurements, measurementSignature, recordMeasurement } from './registry/measurements.ts'
export { getModel, listModels } from './registry/models.ts'
export { nextPair, preferences, vote } from './registry/preferences.ts'
export { getRelease, listPromotions, promote } from './registry/promotion.ts'
export { cancelRun } from './runs/cancel.ts'
export { cancelRuns } from './runs/cancel-many.ts'
export { expectedSeconds } from './runs/durations.ts'
export { retryRun } from './runs/retry.ts'
export { type RunSubmission, submitRun } from './runs/submit.ts'
export { getRun, getStage, listRuns } from './runs/view.ts'
export { migrate } from './schema/migrate.ts'
export type { ArtifactRow, UploadRow, UploadState } from './sql/artifacts.ts'
export type { Progress } from './sql/heartbeats.ts'
export * from './store.ts'
export type { StageChangedPayload } from './transition.ts'
