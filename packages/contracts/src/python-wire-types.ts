import { z } from 'zod'
import {
  DownloadRequest,
  DownloadUrls,
  TreeManifest,
  UploadComplete,
  UploadRequest,
  UploadTickets,
} from './artifact.ts'
import { LogBatch, MetricBatch, MetricReceipt } from './metrics.ts'
import { Problem } from './problem.ts'
import { StageResult } from './stage-result.ts'
import { StageSpec } from './stage-spec.ts'
import {
  Acknowledged,
  CheckpointReport,
  ClaimRequest,
  ClaimResponse,
  CompleteRequest,
  FailRequest,
  HeartbeatRequest,
  HeartbeatResponse,
  ReleaseRequest,
  WorkerRegister,
  WorkerRegistered,
} from './worker-protocol.ts'

/** Everything the Python side speaks; each member becomes a model in limbeck.contracts.generated. */
export const PythonWireTypes = z.strictObject({
  stage_spec: StageSpec,
  stage_result: StageResult,
  worker_register: WorkerRegister,
  worker_registered: WorkerRegistered,
  claim_request: ClaimRequest,
  claim_response: ClaimResponse,
  heartbeat_request: HeartbeatRequest,
  heartbeat_response: HeartbeatResponse,
  metric_batch: MetricBatch,
  metric_receipt: MetricReceipt,
  log_batch: LogBatch,
  tree_manifest: TreeManifest,
  upload_request: UploadRequest,
  upload_tickets: UploadTickets,
  upload_complete: UploadComplete,
  download_request: DownloadRequest,
  download_urls: DownloadUrls,
  checkpoint_report: CheckpointReport,
  complete_request: CompleteRequest,
  fail_request: FailRequest,
  release_request: ReleaseRequest,
  acknowledged: Acknowledged,
  problem: Problem,
})
