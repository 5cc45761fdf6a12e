import { z } from 'zod'

export const StageState = z
  .enum(['blocked', 'queued', 'running', 'verifying', 'succeeded', 'failed', 'cancelled', 'skipped'])
  .meta({ id: 'StageState' })
export type StageState = z.infer<typeof StageState>

/** Derived from the stages; `cancelling` while a cancel is asked for and a lease is still alive. */
export const RunState = z
  .enum(['queued', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled'])
  .meta({ id: 'RunState' })
export type RunState = z.infer<typeof RunState>

/** Why an attempt or a stage ended without success. */
export const EndReason = z
  .enum([
    'bad_config',
    'bad_input',
    'corrupt_data',
    'non_finite',
    'out_of_memory',
    'teacher_gate',
    'discriminator_won',
    'scorer_broken',
    'disk_full',
    'error',
    'stall',
    'timeout',
    'worker_lost',
    'preempted',
    'output_mismatch',
    'cancelled',
    'cancel_deadline',
    'upstream_failed',
  ])
  .meta({ id: 'EndReason', description: 'why an attempt or a stage ended without success' })
export type EndReason = z.infer<typeof EndReason>

export const ResourceClass = z
  .enum(['cpu', 'gpu-24g', 'gpu-48g', 'gpu-80g', 'gpu-141g', 'detector', 'vqa', 'inception', 'control'])
  .meta({
    id: 'ResourceClass',
    description:
      'queue a stage waits in; detector, vqa, inception: workers of these images (infra/images); control: the control plane itself',
  })
export type ResourceClass = z.infer<typeof ResourceClass>
