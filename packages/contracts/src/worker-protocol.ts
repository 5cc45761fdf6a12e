import { z } from 'zod'
import { Digest, Timestamp } from './common.ts'
import { ClaimId, RunId, StageId, WorkerId } from './ids.ts'
import { StageName } from './recipe.ts'
import { StageResult } from './stage-result.ts'
import { StageSpec } from './stage-spec.ts'
import { EndReason, ResourceClass } from './states.ts'

/**
 * Workers speak HTTP leases. Every call that changes state carries (stage, epoch); a stale epoch
 * gets 409 `lease_lost`, and the agent kills its process group.
 */
export const WorkerEnvironment = z
  .strictObject({
    torch: z.string().max(80).describe('version with build, "2.13.0+cpu"'),
    device: z.string().max(80).describe('device class: "cpu-x86_64", "cuda-sm90"'),
    threads: z.int().min(1).max(1024),
    python: z.string().max(40),
  })
  .meta({
    id: 'WorkerEnvironment',
    description: 'what may change the bits of a result; enters the cache key',
  })

export const WorkerRegister = z
  .strictObject({
    name: z.string().min(1).max(120),
    boot_id: z.string().min(8).max(80).describe('new at each start of the agent'),
    resource_classes: z.array(ResourceClass).min(1).max(8),
    memory_gb: z.number().min(0),
    gpu_count: z.int().min(0).max(64),
    labels: z.record(z.string().max(60), z.string().max(120)).default({}),
    code_digest: Digest.describe('SHA-256 over the worker package'),
    environment: WorkerEnvironment,
  })
  .meta({ id: 'WorkerRegister' })

export const WorkerRegistered = z
  .strictObject({
    worker: WorkerId,
    lease_seconds: z.int(),
    heartbeat_hold_seconds: z.number(),
    claim_wait_seconds: z.number(),
    outage_seconds: z.int(),
  })
  .meta({ id: 'WorkerRegistered' })

/** `claim` is made by the client: repeating it returns the same lease. */
export const ClaimRequest = z
  .strictObject({ worker: WorkerId, claim: ClaimId, wait_seconds: z.number().min(0).max(30).default(20) })
  .meta({ id: 'ClaimRequest' })

export const Lease = z
  .strictObject({
    run: RunId,
    stage: StageId,
    name: StageName,
    epoch: z.int().min(1),
    lease_seconds: z.int(),
    max_seconds: z.int().describe('longest duration of the attempt'),
    stall_seconds: z.int().describe('longest silence without progress'),
    spec: StageSpec,
    inputs: z.record(z.string(), Digest).describe('trees by input name'),
    resume: z
      .strictObject({ digest: Digest, step: z.int().min(0) })
      .nullable()
      .describe('newest verified checkpoint'),
  })
  .meta({ id: 'Lease' })
export type Lease = z.infer<typeof Lease>
export const ClaimResponse = z
  .strictObject({ lease: Lease.nullable().describe('null: nothing to do') })
  .meta({ id: 'ClaimResponse' })

const Fenced = z.strictObject({ worker: WorkerId, epoch: z.int().min(1) })

export const HeartbeatRequest = Fenced.extend({
  hold_seconds: z
    .number()
    .min(0)
    .max(10)
    .default(10)
    .describe('the answer waits this long unless there is something to say'),
  progress: z
    .strictObject({
      step: z.int().min(0),
      total: z.int().min(0),
      images_per_second: z.number().nullable(),
      loss: z.number().nullable(),
    })
    .nullable(),
}).meta({ id: 'HeartbeatRequest' })
export const HeartbeatResponse = z
  .strictObject({ action: z.enum(['continue', 'cancel', 'drain']), lease_seconds: z.int() })
  .meta({ id: 'HeartbeatResponse' })

export const CheckpointReport = Fenced.extend({ step: z.int().min(0), digest: Digest.describe('tree') }).meta(
  { id: 'CheckpointReport' },
)

/** Idempotent by (epoch, output): the same again gets the stored answer, another output 409. */
export const CompleteRequest = Fenced.extend({ output: Digest.describe('tree'), result: StageResult }).meta({
  id: 'CompleteRequest',
})
export const FailRequest = Fenced.extend({
  reason: EndReason,
  message: z.string().max(2000),
  last_log_lines: z.array(z.string().max(2000)).max(50),
}).meta({ id: 'FailRequest' })
/** The right is given back: preempted with a checkpoint, or cancelled as asked. */
export const ReleaseRequest = Fenced.extend({
  reason: z.enum(['preempted', 'cancelled']),
  step: z.int().min(0).nullable(),
}).meta({ id: 'ReleaseRequest' })
export const Acknowledged = z.strictObject({ state: z.string() }).meta({ id: 'Acknowledged' })

export const WorkerView = z
  .strictObject({
    id: WorkerId,
    name: z.string(),
    resource_classes: z.array(ResourceClass),
    environment: WorkerEnvironment,
    code_digest: Digest,
    memory_gb: z.number(),
    gpu_count: z.int(),
    labels: z.record(z.string(), z.string()),
    last_seen_at: Timestamp,
    live: z.boolean(),
    stage: StageId.nullable(),
  })
  .meta({ id: 'WorkerView' })
/** Where stages wait. */
export const QueueList = z
  .strictObject({
    classes: z.array(
      z.strictObject({
        resource_class: ResourceClass,
        blocked: z.int().describe('wait for other stages'),
        queued: z.int(),
        due: z.int().describe('of the queued: those that are not waiting for a time'),
        running: z.int(),
        oldest_wait_seconds: z.number().nullable().describe('of the due'),
        workers: z.int().describe('connected workers of the class that take stages'),
        free: z.int(),
      }),
    ),
    project: z.strictObject({ name: z.string(), running: z.int(), queued: z.int() }),
  })
  .meta({ id: 'QueueList' })

export const WorkerList = z.strictObject({ workers: z.array(WorkerView) }).meta({ id: 'WorkerList' })
