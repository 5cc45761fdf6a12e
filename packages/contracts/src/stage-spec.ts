import { z } from 'zod'
import { count, positive, share } from './common.ts'
import {
  AutoencoderConfig,
  DenoiserConfig,
  OptimizerConfig,
  StudentTextConfig,
  TimeConfig,
  TinyDecoderConfig,
  TrainingConfig,
  WordTextConfig,
} from './model-config.ts'

/**
 * What a worker executes: one object per stage kind, complete after defaults. Its canonical JSON
 * enters the cache key, so nothing that does not change the output may stand here.
 * Inputs (artifacts by name) travel beside it; the names are given with each kind.
 */

const HoldOut = z.literal('shapes-v1').describe('combinations that no training sample holds')

/** No input. Output: tar shards + index.json of procedural scenes. */
export const RenderDatasetSpec = z
  .strictObject({
    kind: z.literal('render_dataset'),
    source: z.literal('shapes'),
    hold_out: HoldOut.default('shapes-v1'),
    split: z.enum(['train', 'validation']).default('train'),
    samples: count('scenes', 10_000_000),
    resolution: z.int().min(16).max(1024).default(64).describe('edge in pixels'),
    samples_per_shard: count('scenes a shard', 100_000).default(1000),
    wrong_captions: share("scenes captioned with another scene's words, as pairs from the web are").default(
      0,
    ),
    seed: z.int().min(0).default(0),
  })
  .meta({ id: 'RenderDatasetSpec' })

/** Inputs: dataset. Output: vae/ and text/ of a snapshot. */
export const PretrainAutoencoderSpec = z
  .strictObject({
    kind: z.literal('pretrain_autoencoder'),
    autoencoder: AutoencoderConfig,
    text: WordTextConfig.describe('the text encoder written beside the autoencoder'),
    training: TrainingConfig,
    l1_weight: z.number().min(0).default(0.3),
    kl_weight: z.number().min(0).default(2e-4),
  })
  .meta({ id: 'PretrainAutoencoderSpec' })

/**
 * Inputs: dataset, snapshot (vae/ and the teacher's text encoders; transformer/ too when samples are asked);
 * optionally student_snapshot (the student's text encoders, where the snapshot lacks them).
 * Output: tar shards of latents, student text, teacher text; optionally teacher samples.
 */
export const ExtractFeaturesSpec = z
  .strictObject({
    kind: z.literal('extract_features'),
    student_text: StudentTextConfig,
    teacher_text: z
      .boolean()
      .default(true)
      .describe(
        "also keep the teacher's text (2.7 MB a caption for SD3.5); training without a teacher needs none",
      ),
    samples_per_shard: count('samples a shard', 100_000).default(1000),
    batch_size: count('images a forward', 4096).default(64),
    quarantine_share: share('largest share of corrupt samples; above it the stage fails').default(0.01),
    budget_bytes: count('largest feature cache; the stage refuses an estimate above it', 1e15).default(2e9),
    teacher_samples: z
      .strictObject({
        component: z.enum(['transformer', 'transformer_turbo']),
        samples: count('noise-sample pairs, on the captions of the first samples', 10_000_000),
        steps: count('Euler steps', 1000),
        guidance_scale: z.number().min(0).max(30),
        seed: z.int().min(0).default(0),
      })
      .nullable()
      .default(null),
  })
  .meta({ id: 'ExtractFeaturesSpec' })

/** Late PatchGAN of the decoder (paper.md section 2). */
export const PatchGanConfig = z
  .strictObject({
    weight: z
      .number()
      .min(0)
      .max(100)
      .default(0.5)
      .describe('times the ratio of gradients at the last layer'),
    start_share: share('of the steps, after which it is on').default(0.5),
    channels: count('width of the first layer; a multiple of 8', 512).default(64),
    layers: count('strided layers: 3 see 70 pixels', 5).default(3),
    optimizer: OptimizerConfig,
  })
  .meta({ id: 'PatchGanConfig' })

/** Inputs: features, dataset, snapshot; perceptual (lpips/ of a snapshot) for lpips_weight. Output: decoder model. */
export const DistillDecoderSpec = z
  .strictObject({
    kind: z.literal('distill_decoder'),
    decoder: TinyDecoderConfig,
    training: TrainingConfig,
    teacher_weight: z.number().min(0).default(0.5).describe("weight of L1 to the teacher decoder's output"),
    lpips_weight: z
      .number()
      .min(0)
      .max(100)
      .default(0)
      .describe('weight of LPIPS to the image; needs the input perceptual'),
    gan: PatchGanConfig.nullable().default(null),
  })
  .meta({ id: 'DistillDecoderSpec' })

/** Inputs: features; optionally initial (a denoiser of the same configuration). Output: denoiser (raw, EMA). */
export const PretrainSpec = z
  .strictObject({
    kind: z.literal('pretrain'),
    model: DenoiserConfig,
    text: z.enum(['student', 'teacher']).describe('whose text states the denoiser reads'),
    time: TimeConfig,
    training: TrainingConfig,
    role: z.enum(['base', 'control', 'teacher']).default('base'),
    carry_optimizer: z
      .boolean()
      .default(false)
      .describe("continue with the initial model's optimizer state (a leg of a long training)"),
  })
  .meta({ id: 'PretrainSpec' })

/** S(L_task, L_kd) and its alternatives (paper.md section 4). */
export const ScalingConfig = z
  .strictObject({
    mode: z
      .enum(['timestep', 'equal', 'global', 'none'])
      .default('timestep')
      .describe(
        'timestep: a_t L_task + (1 - a_t) ratio L_kd; equal: each term scaled to the task loss; global: one ratio; none: plain sum',
      ),
    ratio: z.enum(['per_bin', 'per_sample']).default('per_bin'),
    weight_curve: z
      .enum(['A', 'B'])
      .default('A')
      .describe('a_t: density over its maximum (A), normal CDF of the density (B)'),
    bins: z
      .int()
      .min(4)
      .max(256)
      .default(32)
      .describe('bins of equal probability under the training density'),
    decay: share('decay of the running means of a bin').default(0.98),
    ratio_limits: z.tuple([positive('lowest ratio'), positive('highest ratio')]).default([0.01, 100]),
  })
  .meta({ id: 'ScalingConfig' })

/** How a frozen teacher is held; its answers are fp32 either way. */
const frozenTeacher = {
  teacher_text: z
    .enum(['cached', 'live'])
    .default('cached')
    .describe(
      "cached: from the features; live: encoded from the captions as they are trained on (SD3.5's text is 2.7 MB a caption in the cache; its encoders take 11 GB of memory and some 3 % of a step at 1024 px)",
    ),
  teacher_precision: z
    .enum(['fp32', 'bf16'])
    .default('fp32')
    .describe("of the teacher's weights and arithmetic"),
  teacher_sharded: z
    .boolean()
    .default(false)
    .describe('each process holds a part of every block (FSDP2); false: a whole copy'),
}

/** Inputs: features, base (student denoiser), snapshot (teacher). Output: denoiser (raw, EMA); projector apart. */
export const DistillSpec = z
  .strictObject({
    kind: z.literal('distill'),
    time: TimeConfig,
    training: TrainingConfig,
    teacher_component: z.literal('transformer').default('transformer'),
    ...frozenTeacher,
    output_weight: z
      .number()
      .min(0)
      .max(100)
      .default(1)
      .describe('weight of output KD inside S(); 0 switches it off'),
    feature_weight: z
      .number()
      .min(0)
      .max(100)
      .default(1)
      .describe('weight of feature KD inside S(); 0 switches it off'),
    scaling: ScalingConfig,
    teacher_gate: z
      .enum(['warn', 'refuse'])
      .default('warn')
      .describe(
        "what to do where the teacher's data loss is above the student's in most bins of t; latents smaller than the teacher was made for need 'refuse'",
      ),
  })
  .meta({ id: 'DistillSpec' })

/** Adversarial part of LADD (paper.md 5; training.md C). */
export const LaddConfig = z
  .strictObject({
    weight: z.number().min(0).max(100).default(0.5).describe("generator's weight of the adversarial term"),
    taps: z.array(z.int().min(0)).min(1).max(64).describe('blocks of the frozen feature network'),
    head_channels: count('width of a head; SD3.5 256', 2048),
    head_optimizer: OptimizerConfig,
    loss: z.enum(['hinge', 'softplus']).default('hinge'),
    renoise: z
      .enum(['logit_normal', 'next_grid_time'])
      .default('logit_normal')
      .describe(
        "the discriminator's t: drawn (LADD), or the next lower step time behind the generator's, 0 behind the last (diffusion GANs)",
      ),
    renoise_mean: z.number().min(-3).max(3).default(1).describe("logit-normal mean of the discriminator's t"),
    renoise_std: positive("logit-normal deviation of the discriminator's t").default(1),
    r1_weight: z.number().min(0).default(0.1).describe('R1 on the head inputs'),
    discriminator_updates: count('discriminator updates a generator update', 64).default(1),
    stop_accuracy: share('discriminator accuracy that stops the stage...').default(0.98),
    stop_window_share: share('...when held for this share of the steps').default(0.15),
    stop_spread: share(
      "spread of the student's held-out images, as a share of that before the stage, below which it stops: all images become alike. 0: never",
    ).default(0),
  })
  .meta({ id: 'LaddConfig' })

/** Inputs: features, student (denoiser), snapshot (few-step teacher). Output: few-step denoiser with its grid. */
export const DistillStepsSpec = z
  .strictObject({
    kind: z.literal('distill_steps'),
    time: TimeConfig,
    grids: z
      .record(z.string().regex(/^[1-9][0-9]?$/), z.array(z.number().min(0).max(1)).min(1).max(64))
      .describe('step times from noise to data by number of steps, without the closing 0; each is trained'),
    time_phases: z
      .array(
        z.strictObject({
          until: share('of the updates; the phase ends there'),
          weights: z.array(z.number().min(0)).min(1).max(128).describe('of the distinct step times, falling'),
        }),
      )
      .max(16)
      .default([])
      .describe('how often each step time is trained, phase by phase; behind the last: equally often'),
    training: TrainingConfig.describe('steps count generator updates'),
    feature_component: z.enum(['transformer', 'transformer_turbo']).default('transformer_turbo'),
    ...frozenTeacher,
    require_few_step: z
      .boolean()
      .default(true)
      .describe('refuse a teacher whose snapshot does not mark it few-step'),
    target: z
      .enum(['teacher_velocity', 'teacher_samples', 'none'])
      .default('teacher_velocity')
      .describe(
        'what the reconstruction term follows: the few-step teacher at the same point, or coupled noise-sample pairs of the features',
      ),
    scaling: ScalingConfig,
    ladd: LaddConfig.nullable().describe('null: reconstruction term only'),
    real: z.enum(['data', 'teacher_samples']).default('data').describe("the discriminator's real samples"),
  })
  .meta({ id: 'DistillStepsSpec' })

/** What a result is comparable under; hashed into every evaluation. */
export const EvaluationProtocol = z
  .strictObject({
    benchmark: z
      .literal('shapes-geneval')
      .describe('GenEval rules on the shapes detector; never called GenEval'),
    prompts_per_tag: count('prompts of each of the six tags', 1000),
    held_out_per_tag: z.int().min(0).max(1000).describe('prompts on held-out combinations, scored apart'),
    images_per_prompt: count('images a prompt', 64).default(1),
    seed: z.int().min(0).describe('draws the prompts; x_T is keyed by prompt text and repeat index'),
    sampler: z.literal('flow-euler').default('flow-euler'),
    steps: count('Euler steps', 1000),
    grid: z
      .array(z.number().min(0).max(1))
      .nullable()
      .default(null)
      .describe('step times; null: even in t, then shifted'),
    shift: positive('time shift').default(1),
    guidance_scale: z.number().min(0).max(30).describe('1: one forward a step'),
    dtype: z.literal('float32').default('float32'),
    scorer: z.literal('shapes-detector-v1').default('shapes-detector-v1'),
  })
  .meta({ id: 'EvaluationProtocol' })

/**
 * Inputs: snapshot (vae/, text/); model (denoiser) unless component is set; optionally decoder; optionally scorers, a
 * snapshot with clip/, image_reward/ or inception/, and reference (statistics.npz of real images): a score without its
 * weights is reported as not run. Output: report, images, grid.
 */
export const EvaluateSpec = z
  .strictObject({
    kind: z.literal('evaluate'),
    role: z.enum(['teacher', 'control_steps', 'control', 'distilled', 'few_step', 'base', 'kd_only']),
    component: z
      .enum(['transformer', 'transformer_turbo'])
      .nullable()
      .default(null)
      .describe("the snapshot's own denoiser instead of a model"),
    text: z.enum(['student', 'teacher']),
    student_text: StudentTextConfig.nullable().default(null),
    protocols: z.array(EvaluationProtocol).min(1).max(16),
    batch_size: count('images a forward', 4096).default(50),
    grid_prompts: z.int().min(0).max(64).default(6).describe('rows kept for the sample grid'),
  })
  .meta({ id: 'EvaluateSpec' })

/**
 * Inputs: model (few-step denoiser), decoder, features; for text_encoder student_snapshot. Output: unet.mlpackage and its
 * palettes (unet-6bit.mlpackage, unet-mixed.mlpackage), decoder.mlpackage, text.mlpackage, report.json, ios/.
 */
export const ExportCoremlSpec = z
  .strictObject({
    kind: z.literal('export_coreml'),
    student_text: StudentTextConfig,
    minimum_target: z.enum(['iOS17', 'iOS18']).default('iOS18'),
    precision: z.literal('fp16').default('fp16'),
    layout: z
      .enum(['channels_first', 'tokens_first'])
      .default('channels_first')
      .describe(
        "of the UNet's transformers: [1, channels, 1, tokens] with linear layers as 1x1 convolutions, as the Neural Engine likes it; or as they are trained",
      ),
    parity_samples: count('latents the written file is compared on, at every step time', 64).default(4),
    palettes: z
      .array(z.union([z.literal(8), z.literal(6), z.literal(4)]))
      .max(3)
      .refine((widths) => new Set(widths).size === widths.length, 'names a width twice')
      .default([])
      .describe('bits of k-means palettes; for each, a package of the UNet of its own beside the fp16 one'),
    int8: z
      .boolean()
      .default(false)
      .describe('a package with linear int8 weights, a scale an output channel'),
    palette_group: z
      .int()
      .min(0)
      .max(256)
      .default(16)
      .describe('output channels that share a palette (iOS18); 0: one palette a weight'),
    weight_budget_bytes: z
      .int()
      .min(0)
      .default(0)
      .describe(
        "of the UNet's weights: unet-mixed.mlpackage gives each layer the bits that its measured sensitivity asks for; 0: none",
      ),
    sensitivity_cases: count('inputs that the sensitivity of each layer is measured on', 64).default(2),
    worst_operations: z
      .int()
      .min(0)
      .max(100)
      .default(10)
      .describe('operations with the largest loss against torch in the report; 0 saves their memory'),
    loop_samples: z
      .int()
      .min(0)
      .max(64)
      .default(2)
      .describe('samples drawn with the written files beside torch, on every grid; 0: none'),
    text_encoder: z
      .boolean()
      .default(false)
      .describe(
        "text.mlpackage from token ids, with the tokenizers' files in ios/; for CLIP without Gemma, from the input student_snapshot",
      ),
    onnx: z.boolean().default(true).describe('ONNX Runtime on the same module as an independent check'),
    workers: count('processes that compute palettes', 256).default(1),
  })
  .meta({ id: 'ExportCoremlSpec' })

/**
 * Inputs: images (GenEval's folders; DPG-Bench's grids; any pictures or a data set), scorers (a snapshot with detector/ and
 * clip/; vqa/; inception/), for vqa questions (questions.csv). Output: detections.jsonl; answers.csv; statistics.npz.
 */
export const AnnotateSpec = z
  .strictObject({
    kind: z.literal('annotate'),
    network: z
      .enum(['detector', 'vqa', 'inception'])
      .describe('what looks at the pictures: for GenEval, DPG-Bench, FID and KID'),
    batch_size: count('pictures a forward', 1024).default(16),
    resolution: z
      .int()
      .min(16)
      .max(4096)
      .default(1024)
      .describe("edge of a picture in DPG-Bench's grids, in pixels; for vqa"),
    images_per_prompt: z.int().min(1).max(4).default(4).describe("pictures of DPG-Bench's grids; for vqa"),
    dataset: z
      .string()
      .max(200)
      .default('')
      .describe(
        'for inception: name or digest of the reference set, kept in the statistics; empty: not stated',
      ),
  })
  .meta({ id: 'AnnotateSpec' })

/**
 * Inputs: files (detections.jsonl; statistics.npz, or first.npz and second.npz; questions.csv and answers.csv), for
 * geneval and frechet optionally against. Output: report.json.
 */
export const ScoreSpec = z
  .strictObject({
    kind: z.literal('score'),
    scorer: z.enum(['geneval', 'frechet', 'dpg']).describe('as `limbeck eval` scores files'),
  })
  .meta({ id: 'ScoreSpec' })

/** No worker: the control plane judges the evaluations and registers the model version. */
export const GatesSpec = z.strictObject({ kind: z.literal('gates') }).meta({ id: 'GatesSpec' })

export const StageSpec = z
  .discriminatedUnion('kind', [
    RenderDatasetSpec,
    PretrainAutoencoderSpec,
    ExtractFeaturesSpec,
    DistillDecoderSpec,
    PretrainSpec,
    DistillSpec,
    DistillStepsSpec,
    EvaluateSpec,
    ExportCoremlSpec,
    AnnotateSpec,
    ScoreSpec,
    GatesSpec,
  ])
  .meta({ id: 'StageSpec' })
export type StageSpec = z.infer<typeof StageSpec>

export const StageKind = z.enum([
  'render_dataset',
  'pretrain_autoencoder',
  'extract_features',
  'distill_decoder',
  'pretrain',
  'distill',
  'distill_steps',
  'evaluate',
  'export_coreml',
  'annotate',
  'score',
  'gates',
])
export type StageKind = z.infer<typeof StageKind>
