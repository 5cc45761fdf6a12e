import type { StageKind } from '@limbeck/contracts'

/** What an input may hold: the output of one of these kinds, or an asset of one of these. */
interface InputRule {
  required: boolean
  from: readonly StageKind[]
  assets: readonly ('dataset' | 'snapshot' | 'model')[]
}

const dataset = { required: true, from: ['render_dataset'], assets: ['dataset'] } as const
const snapshot = { required: true, from: ['pretrain_autoencoder'], assets: ['snapshot'] } as const
const features = { required: true, from: ['extract_features'], assets: [] } as const
const optional = <R extends InputRule>(rule: R) => ({ ...rule, required: false })

/**
 * Inputs by stage kind. Lineage is judged here, before a GPU is taken: a distillation starts from a
 * base that was never step-distilled (NVlabs/Sana#291), a step distillation from a many-step model.
 */
export const STAGE_INPUTS: Record<StageKind, Record<string, InputRule>> = {
  render_dataset: {},
  pretrain_autoencoder: { dataset },
  extract_features: { dataset, snapshot, student_snapshot: optional(snapshot) },
  distill_decoder: { features, dataset, snapshot, perceptual: optional(snapshot) },
  pretrain: { features, initial: { required: false, from: ['pretrain'], assets: ['model'] } },
  distill: { features, base: { required: true, from: ['pretrain'], assets: ['model'] }, snapshot },
  distill_steps: {
    features,
    student: { required: true, from: ['pretrain', 'distill'], assets: ['model'] },
    snapshot,
  },
  evaluate: {
    snapshot,
    student_snapshot: optional(snapshot),
    scorers: optional(snapshot),
    reference: { required: false, from: ['annotate'], assets: ['dataset'] },
    model: { required: false, from: ['pretrain', 'distill', 'distill_steps'], assets: ['model'] },
    decoder: optional({ required: false, from: ['distill_decoder'], assets: [] }),
  },
  export_coreml: {
    model: { required: true, from: ['pretrain', 'distill', 'distill_steps'], assets: ['model'] },
    decoder: { required: true, from: ['distill_decoder'], assets: [] },
    features,
    student_snapshot: optional(snapshot),
  },
  annotate: {
    images: { required: true, from: ['render_dataset'], assets: ['dataset'] },
    scorers: { required: true, from: [], assets: ['snapshot'] },
    questions: { required: false, from: [], assets: ['dataset'] },
  },
  score: {
    files: { required: true, from: ['annotate'], assets: ['dataset'] },
    against: { required: false, from: ['annotate'], assets: ['dataset'] },
  },
  gates: {},
}
