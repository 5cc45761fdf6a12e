/**
 * INTERFACE FIRST: `declare`d here until each module is committed; names and types stay.
 * Expected failures are values: Result<T, StoreFailure>; a StoreFailure's `code` is a ProblemCode.
 * All views are wire types of @limbeck/contracts (timestamps as RFC 3339 strings).
 */
import type {
  ArrayPoints, AssetCreate, AssetView, ArtifactView, CachePolicy, ClaimId, Digest, EndReason, EvaluationId, EvaluationView, EventView,
  GateResult, Lease, LogBatch, LogPage, MetricBatch, MetricReceipt, ModelVersionId, ModelVersionView,
  PromotionCreate, PromotionId, PromotionView, ReleaseView, ProblemCode, Recipe, ReleaseManifest, ResourceClass, RunId,
  RunListQuery, RunList, RunState, RunView, Scope, SeriesList, SeriesPoints, StageDetail, StageId, StageResult,
  TokenId, TokenView, TreeManifest, UploadId, WorkerEnvironment, WorkerId, WorkerRegister, WorkerView,
} from '@limbeck/contracts'
import type { Plan, Result } from '@limbeck/core'
import type { z } from 'zod'
import type { Store } from './store.ts'
export * from './store.ts'

type T<S extends z.ZodType> = z.infer<S>
export interface StoreFailure { code: ProblemCode; detail: string; gates?: T<typeof GateResult>[] }
type R<V> = Promise<Result<V, StoreFailure>>

// ---- migrations, ids
export declare function migrate(url: string): Promise<string[]> // names of the migrations applied now; concurrent-safe, idempotent
export declare function newId<P extends 'run'|'stg'|'wrk'|'upl'|'evl'|'mdl'|'prm'|'tok'|'clm'>(prefix: P): string // cast to the branded type by schema; typed per prefix in the end

// ---- access
export declare function ensureProject(store: Store, name: string): Promise<void>
/** `secret` from newTokenSecret(); only its SHA-256 is stored. */
export declare function newTokenSecret(): string
export declare function createToken(store: Store, token: { project: string; name: string; scopes: T<typeof Scope>[]; expires_days: number | null; secret: string }): Promise<T<typeof TokenView>>
export declare function findToken(store: Store, secret: string): Promise<T<typeof TokenView> | null> // live ones only (not revoked, not expired); stamps last_used_at at most once a minute
export declare function listTokens(store: Store, project: string): Promise<T<typeof TokenView>[]>
export declare function revokeToken(store: Store, project: string, token: string): R<T<typeof TokenView>>
/** One-time code of the dashboard address. */
export declare function createLoginCode(store: Store, code: { secret: string; project: string; scopes: T<typeof Scope>[]; expires_seconds: number }): Promise<void>
export declare function useLoginCode(store: Store, secret: string): Promise<{ project: string; scopes: T<typeof Scope>[] } | null> // once
export declare function recordAudit(store: Store, entry: { project: string | null; actor: string; action: string; resource: string; request_id: string; detail?: unknown }): Promise<void>

// ---- idempotency of other POSTs (submitRun has its own, in its transaction)
export declare function beginIdempotent(store: Store, key: { scope: string; key: string; request_hash: Digest; ttl_seconds: number }): Promise<{ kind: 'first' } | { kind: 'replay'; status: number; response: unknown } | { kind: 'reused' } | { kind: 'in_progress' }>
export declare function finishIdempotent(store: Store, key: { scope: string; key: string; status: number; response: unknown }): Promise<void>
export declare function abandonIdempotent(store: Store, key: { scope: string; key: string }): Promise<void>

// ---- runs
export interface RunSubmission {
  project: string
  submitted_by: string
  plan: Plan // of core.planRun
  overrides: Record<string, unknown>
  label: string
  priority: number
  cache: T<typeof CachePolicy>
  cache_salt: string
  idempotency: { key: string; request_hash: Digest } | null
}
/** Failures: unknown_asset, idempotency_key_reused. The same key and hash again gives the same run (`replayed`). */
export declare function submitRun(store: Store, submission: RunSubmission): R<{ run: RunView; replayed: boolean }>
export declare function listRuns(store: Store, project: string, query: T<typeof RunListQuery>): R<T<typeof RunList>> // invalid_request on a bad cursor
export declare function getRun(store: Store, project: string, run: string): R<RunView> // not_found
export declare function getStage(store: Store, project: string, stage: string): R<T<typeof StageDetail>>
export declare function cancelRun(store: Store, project: string, run: string, actor: string): R<RunView> // idempotent; conflict when the run has ended otherwise
export declare function retryRun(store: Store, project: string, run: string, stages: string[] | undefined, actor: string): R<RunView>

// ---- workers and leases. Stage calls take (worker, stage, epoch); stale gives lease_lost.
export interface Fence { worker: WorkerId; stage: StageId; epoch: number }
/** Idempotent by (project, name, boot_id). */
export declare function registerWorker(store: Store, project: string, worker: T<typeof WorkerRegister>): Promise<WorkerId>
export declare function listWorkers(store: Store, project: string): Promise<T<typeof WorkerView>[]>
export declare function drainWorker(store: Store, project: string, worker: string): R<T<typeof WorkerView>>
/** Does not wait: the API's long poll calls it again (doorbell or every 2 s). Failures: not_found (unknown worker). null: nothing to do. */
export declare function claimStage(store: Store, claim: { project: string; worker: WorkerId; claim: ClaimId }): R<Lease | null>
export declare function heartbeat(store: Store, fence: Fence, progress: { step: number; total: number; images_per_second: number | null; loss: number | null } | null): R<{ action: 'continue' | 'cancel' | 'drain'; lease_seconds: number }>
/** Cheap look while a heartbeat is held: anything to say? Renews nothing. */
export declare function peekHeartbeat(store: Store, fence: Fence): R<{ action: 'continue' | 'cancel' | 'drain' }>
export declare function reportCheckpoint(store: Store, fence: Fence, checkpoint: { step: number; digest: Digest }): R<{ state: string }>
/** Failures: lease_lost, output_conflict. */
export declare function completeStage(store: Store, fence: Fence, output: { output: Digest; result: StageResult }): R<{ state: string }>
export declare function failStage(store: Store, fence: Fence, failure: { reason: EndReason; message: string; last_log_lines: string[] }): R<{ state: string }>
export declare function releaseStage(store: Store, fence: Fence, release: { reason: 'preempted' | 'cancelled'; step: number | null }): R<{ state: string }>

// ---- reconciler: each call is one sweep; all are safe to run twice and concurrently. Returned: stages that changed.
export declare function stampApiLiveness(store: Store, replica: string): Promise<void> // API: every 2 s
export declare function removeApiLiveness(store: Store, replica: string): Promise<void> // on orderly shutdown
export declare function expireLeases(store: Store): Promise<StageId[]>
export declare function forceCancels(store: Store): Promise<StageId[]>
export declare function enforceTimeouts(store: Store): Promise<StageId[]> // max_seconds, stall_seconds
export declare function settleVerifications(store: Store): Promise<StageId[]> // verifying stages whose output is verified or turned out wrong
export declare function unblockStages(store: Store): Promise<StageId[]> // belt and braces: ready but still blocked
export declare function takeLeadership(store: Store, name: string, holder: string, seconds: number): Promise<boolean> // take or renew
export declare function leaveLeadership(store: Store, name: string, holder: string): Promise<void>

// ---- gates stages (resource class control)
export interface GatesStage { stage: StageId; run: RunId; project: string; recipe: Recipe; results: Record<string, StageResult>; outputs: Record<string, Digest> }
export declare function listGatesStages(store: Store, limit: number): Promise<GatesStage[]> // queued ones; nothing is taken: settle is conditional
export declare function settleGates(store: Store, stage: StageId, gates: T<typeof GateResult>[]): R<{ model_version: ModelVersionId | null }> // registers the model version from recipe.release itself; idempotent

// ---- events
export interface FeedEvent { cursor: string; type: string; project: string; run: RunId | null; stage: StageId | null; payload: Record<string, unknown>; created_at: string } // EventView + project
/** after: '' or "xid:id". Types: run.created, run.changed {state}, stage.changed {name, kind, from, state, command, epoch, reason, cached, resource_class, priority, next_attempt_at}, stage.progress is NOT an event; upload.completed {upload}, worker.registered, model.registered, alias.moved */
export declare function readEvents(store: Store, filter: { project?: string; run?: string; after: string; limit: number }): R<FeedEvent[]>
export declare function latestCursor(store: Store): Promise<string>
export interface UndeliveredEvent { id: string; type: string; project: string; run: RunId | null; stage: StageId | null; payload: Record<string, unknown> }
/** In one transaction: locks up to `limit` with SKIP LOCKED, hands them to `deliver`, marks them delivered when it resolves. Returns how many. */
export declare function relayEvents(store: Store, limit: number, deliver: (events: UndeliveredEvent[]) => Promise<void>): Promise<number>
/** Queued, due now: for a doorbell again (class -> count). */
export declare function countDueStages(store: Store): Promise<{ resource_class: ResourceClass; count: number }[]>

// ---- artifacts and uploads
export interface UploadRow { id: UploadId; project: string; sha256: Digest; size: number; kind: 'blob' | 'tree'; object_key: string; multipart_id: string; part_size: number; state: 'pending' | 'completed' | 'verified' | 'mismatch' | 'aborted'; owner: string; created_at: string }
export interface ArtifactRow { digest: Digest; kind: 'blob' | 'tree'; object_key: string; size: number; verified_at: string; manifest: T<typeof TreeManifest> | null }
export declare function findArtifacts(store: Store, digests: readonly Digest[]): Promise<ArtifactRow[]> // verified ones only
export declare function createUpload(store: Store, upload: { id: UploadId; project: string; sha256: Digest; size: number; kind: 'blob' | 'tree'; object_key: string; multipart_id: string; part_size: number; owner: string }): Promise<void>
export declare function findUploads(store: Store, project: string, ids: readonly string[]): Promise<UploadRow[]>
/** After S3 finished the multipart upload: pending -> completed (event upload.completed); again is fine. */
export declare function markUploadCompleted(store: Store, upload: string): R<UploadRow>
/** Completed uploads to hash, oldest blobs first, then trees. */
export declare function listCompletedUploads(store: Store, limit: number): Promise<UploadRow[]>
/** After hashing. verified maps the digest to this key (first one wins; `keep` false: delete the object). A tree passes its parsed manifest. */
export declare function settleUpload(store: Store, upload: string, verdict: { state: 'verified'; manifest: T<typeof TreeManifest> | null } | { state: 'mismatch'; found: string }): R<{ keep: boolean }>
export declare function listStaleUploads(store: Store, older_than_seconds: number, limit: number): Promise<UploadRow[]> // pending ones
export declare function markUploadAborted(store: Store, upload: string): Promise<void>
/** States of files a tree needs: 'verified' | 'pending' (an upload is completed, not yet hashed) | 'absent'. */
export declare function artifactStates(store: Store, digests: readonly Digest[]): Promise<Map<Digest, 'verified' | 'pending' | 'absent'>>

// ---- assets
export declare function createAsset(store: Store, project: string, asset: T<typeof AssetCreate>, created_by: string): R<T<typeof AssetView>> // asset_exists, unknown_artifact; the same again is fine
export declare function listAssets(store: Store, project: string): Promise<T<typeof AssetView>[]>

// ---- metrics and logs. Taken from the worker that held the attempt, also for a day after its end.
export declare function ingestMetrics(store: Store, worker: WorkerId, stage: StageId, batch: MetricBatch): R<T<typeof MetricReceipt>>
export declare function listSeries(store: Store, project: string, run: string): R<T<typeof SeriesList>>
export declare function querySeries(store: Store, project: string, query: { stage: string; name: string; from_step?: number | undefined; to_step?: number | undefined; max_points: number }): R<T<typeof SeriesPoints>>
export declare function queryArrays(store: Store, project: string, query: { stage: string; name: string; from_step?: number | undefined; to_step?: number | undefined; max_points: number }): R<T<typeof ArrayPoints>>
export declare function appendLogs(store: Store, worker: WorkerId, stage: StageId, batch: T<typeof LogBatch>): R<{ accepted: number; duplicate: boolean }>
export declare function readLogs(store: Store, project: string, stage: string, from: number, limit: number): R<T<typeof LogPage>>

// ---- evaluations, models, promotion
export declare function listEvaluations(store: Store, project: string, filter: { run?: string | undefined; limit: number }): Promise<T<typeof EvaluationView>[]>
export declare function listModels(store: Store, project: string, filter: { run?: string | undefined; limit: number }): Promise<T<typeof ModelVersionView>[]>
export declare function getModel(store: Store, project: string, model: string): R<T<typeof ModelVersionView>>
/** Failures: not_found, gates_failed (with gates). */
export declare function promote(store: Store, project: string, promotion: T<typeof PromotionCreate>, promoted_by: string): R<T<typeof PromotionView>>
export declare function listPromotions(store: Store, project: string, filter: { alias?: string | undefined; limit: number }): Promise<T<typeof PromotionView>[]>
export declare function getRelease(store: Store, project: string, alias: string): R<T<typeof ReleaseView>>

export type { ArtifactView, EvaluationId, EventView, PromotionId, ReleaseManifest, RunState, TokenId, WorkerEnvironment }
