import type {
  CachePolicy,
  Digest,
  EndReason,
  Recipe,
  ResourceClass,
  RunId,
  RunState,
  StageId,
  StageKind,
  StageResult,
  StageSpec,
  StageState,
  WorkerEnvironment,
  WorkerId,
} from '@limbeck/contracts'
import type { z } from 'zod'

/** Rows as `pg` gives them. JSON columns were parsed by zod when they were written. */
export interface RunRow {
  id: RunId
  project: string
  recipe: string
  recipe_version: number
  recipe_digest: Digest
  recipe_body: Recipe
  overrides: Record<string, never>
  assets: Record<string, { kind: string; digest: Digest; licence: string }>
  label: string
  priority: number
  cache: z.infer<typeof CachePolicy>
  cache_salt: string
  state: RunState
  submitted_by: string
  created_at: Date
  started_at: Date | null
  ended_at: Date | null
  cancel_requested_at: Date | null
}

export interface ProgressRow {
  step: number
  total: number
  images_per_second: number | null
  loss: number | null
  at: string
}

export interface StageRow {
  id: StageId
  run_id: RunId
  project: string
  name: string
  kind: StageKind
  position: number
  state: StageState
  epoch: number
  cached: boolean
  spec: StageSpec
  inputs: Record<string, string>
  needs: string[]
  resource_class: ResourceClass
  priority: number
  max_seconds: number
  stall_seconds: number
  code_digest: Digest | null
  environment: z.infer<typeof WorkerEnvironment> | null
  environment_digest: Digest | null
  input_digests: Record<string, Digest> | null
  cache_key: Digest | null
  lease_worker: WorkerId | null
  lease_expires_at: Date | null
  cancel_requested_at: Date | null
  cancel_deadline: Date | null
  failures_user: number
  failures_infrastructure: number
  failures_stall: number
  next_attempt_at: Date | null
  output_digest: Digest | null
  result: StageResult | null
  reason: EndReason | null
  message: string | null
  last_log_lines: string[]
  progress: ProgressRow | null
  progress_at: Date | null
  created_at: Date
  started_at: Date | null
  attempt_started_at: Date | null
  ended_at: Date | null
}

export interface AttemptRow {
  stage_id: StageId
  epoch: number
  worker_id: WorkerId
  code_digest: Digest
  environment_digest: Digest
  started_at: Date
  ended_at: Date | null
  outcome: AttemptOutcome | null
  reason: EndReason | null
  message: string | null
  output_digest: Digest | null
  resumed_from_step: number | null
  last_checkpoint_step: number | null
}

export type AttemptOutcome = 'succeeded' | 'failed' | 'lost' | 'released' | 'cancelled'

export interface WorkerRow {
  id: WorkerId
  project: string
  name: string
  boot_id: string
  resource_classes: ResourceClass[]
  memory_gb: number
  gpu_count: number
  labels: Record<string, string>
  code_digest: Digest
  environment: z.infer<typeof WorkerEnvironment>
  environment_digest: Digest
  registered_at: Date
  last_seen_at: Date
  drain_requested_at: Date | null
}

export const iso = (time: Date): string => time.toISOString()
export const isoOrNull = (time: Date | null): string | null => time?.toISOString() ?? null
