import { z } from 'zod'
import { count, positive, share } from './common.ts'

/** SD3-class transformer (diffusers SD3Transformer2DModel). Width = heads x head_width. */
export const Sd3Config = z
  .strictObject({
    architecture: z.literal('sd3'),
    layers: count('joint transformer blocks; SD3.5-Large 38', 128),
    heads: count('attention heads; SD3.5-Large 38', 128),
    head_width: count('channels of a head; SD3.5 64', 256),
    patch: count('patch edge in latent pixels; SD3.5 2', 8),
    latent_channels: count('channels of the latent; SD3.5 16', 64),
    latent_size: count('latent edge the position table is sized for', 512),
    joint_width: count('text token width; SD3.5 4096', 16_384),
    pooled_width: count('pooled text width; SD3.5 2048', 16_384),
    qk_norm: z.enum(['rms_norm', 'none']).default('rms_norm'),
    dual_attention_layers: z
      .int()
      .min(0)
      .max(128)
      .default(0)
      .describe('first blocks with a second attention over the image alone; SD3.5-Medium 13'),
    position_table: z
      .int()
      .min(0)
      .max(1024)
      .default(0)
      .describe('edge of the position table in patches; 0: that of the latent. SD3.5-Large 192, -Medium 384'),
  })
  .meta({ id: 'Sd3Config' })

/** One resolution of the student's UNet (paper.md 1.3, 1.4: SnapGen's three stages). */
export const UnetStage = z
  .strictObject({
    channels: count('width; SnapGen 256, 512, 896', 8192),
    heads: count('query heads; SnapGen 4, 8, 14', 256),
    down_blocks: count('ResBlocks on the way down; SnapGen 1, 2, 2', 32),
    up_blocks: count('ResBlocks on the way up; SnapGen 2, 3, 3', 32),
    transformer_blocks: z.int().min(0).max(32).describe('CA+FFN blocks after each ResBlock; SnapGen 1, 2, 4'),
    self_attention: z.boolean().describe('SA before CA; SnapGen: lowest stage only'),
  })
  .meta({ id: 'UnetStage' })

/** SnapGen's efficient UNet with each step of the design path as a switch (paper.md 1.1). */
export const UnetConfig = z
  .strictObject({
    architecture: z.literal('unet'),
    latent_channels: count('channels of the latent', 64),
    latent_size: count('latent edge; RoPE tables are built for it', 512),
    context_width: count('text token width; SnapGen 2304 (Gemma-2-2b)', 16_384),
    stages: z.array(UnetStage).min(2).max(6),
    middle_transformer_blocks: z.int().min(0).max(32).default(2),
    head_width: count('channels of a head, the same in all stages; SnapGen 64', 256),
    time_width: count('width of the time embedding; SnapGen 1024', 8192),
    time_frequencies: count('sinusoidal features before the MLP; SnapGen 256', 2048).default(256),
    separable_convolutions: z.boolean().default(true),
    separable_samplers: z.boolean().default(true),
    expansion: positive('middle width of a ResBlock over its base').max(8).default(2),
    expansion_base: z.enum(['in', 'max', 'out']).default('max'),
    ffn_ratio: positive('gated FFN: inner width over width').max(16).default(3),
    attention: z.enum(['mqa', 'mha']).default('mqa'),
    qk_norm: z.enum(['rms_norm', 'none']).default('rms_norm'),
    rope: z.boolean().default(true).describe('2D axial: q and k in SA, q only in CA'),
    activation: z.enum(['silu', 'hardswish']).default('silu'),
    norm_groups: count('groups of GroupNorm; SnapGen 32', 256).default(32),
  })
  .meta({ id: 'UnetConfig' })

export const DenoiserConfig = z
  .discriminatedUnion('architecture', [Sd3Config, UnetConfig])
  .meta({ id: 'DenoiserConfig' })

/** diffusers AutoencoderKL without quant convolutions; `channels` one entry a resolution. */
export const AutoencoderConfig = z
  .strictObject({
    channels: z.array(count('width of a resolution', 4096)).min(1).max(6),
    layers_per_block: count('ResBlocks a resolution', 8).default(1),
    latent_channels: count('channels of the latent', 64),
    norm_groups: count('groups of GroupNorm', 64).default(8),
  })
  .meta({ id: 'AutoencoderConfig' })

/** Tiny decoder (paper.md section 2): channels reduced before each upsampling, one norm and one activation a block. */
export const TinyDecoderConfig = z
  .strictObject({
    latent_channels: count('channels of the latent', 64),
    widths: z.array(count('width of a resolution, lowest first', 4096)).min(2).max(6),
    blocks: z.array(z.int().min(1).max(16)).min(2).max(6),
    norm_groups: count('groups of GroupNorm', 256).default(8),
    activation: z.enum(['silu', 'hardswish']).default('silu'),
  })
  .refine(
    (value) => value.widths.length === value.blocks.length,
    'widths and blocks must have the same length',
  )
  .meta({ id: 'TinyDecoderConfig' })

/**
 * Text of the closed-vocabulary encoder: a frozen seeded table plus a seeded position code
 * (training.md B.5: without it "A left of B" equals "B left of A").
 */
export const WordTextConfig = z
  .strictObject({
    encoder: z.literal('words'),
    vocabulary: z.literal('shapes-v1'),
    width: count('channels of a token', 4096),
    tokens: count('positions; shorter captions are padded with zeros', 512),
    seed: z.int().min(0),
  })
  .meta({ id: 'WordTextConfig' })

/**
 * SnapGen's text (paper.md 1.5): CLIP-L and CLIP-G joined on channels, then Gemma-2 on tokens; from the folders
 * text_encoder, text_encoder_2 and gemma of a snapshot.
 */
export const SnapgenTextConfig = z
  .strictObject({
    encoder: z.literal('snapgen'),
    width: count('channels of a token: Gemma-2-2b 2304, CLIP-L alone 768', 16_384).default(2304),
    clip: z.enum(['l', 'l+g']).default('l+g').describe('l: CLIP-L alone, as in the ImageNet study'),
    gemma_tokens: z
      .int()
      .min(0)
      .max(512)
      .default(256)
      .describe('positions of Gemma after the 77 of CLIP; 0: CLIP alone, as on the phone'),
    prefix: z.string().max(4000).default('').describe('instruction before the caption, for Gemma alone'),
  })
  .meta({ id: 'SnapgenTextConfig' })

/** What the student reads. The teacher's text is told by its snapshot. */
export const StudentTextConfig = z
  .discriminatedUnion('encoder', [WordTextConfig, SnapgenTextConfig])
  .meta({ id: 'StudentTextConfig' })

/** Time shift of a resolution, for training density and sampler alike (tiny 1; 1024 px 3), and the density of t. */
export const TimeConfig = z
  .strictObject({
    shift: positive("t' = s t / (1 + (s - 1) t)").min(0.1).max(16).default(1),
    mean: z.number().min(-3).max(3).default(0).describe('logit-normal mean before the shift'),
    std: positive('logit-normal standard deviation').max(4).default(1),
  })
  .meta({ id: 'TimeConfig' })

/** One optimiser for the network; `muon` takes the 2-D weights of the blocks, AdamW the rest at the same rate. */
export const OptimizerConfig = z
  .strictObject({
    kind: z.enum(['adamw', 'muon']),
    learning_rate: positive('peak rate').max(1),
    betas: z.tuple([share('beta 1'), share('beta 2')]).default([0.9, 0.99]),
    weight_decay: z.number().min(0).max(1).default(0),
    warmup_steps: z.int().min(0).default(100).describe('linear warm-up'),
    decay_share: share('last share of the steps in which the rate falls linearly to 0').default(0.25),
    gradient_clip: positive('largest global gradient norm').default(1),
  })
  .meta({ id: 'OptimizerConfig' })

export const TrainingConfig = z
  .strictObject({
    steps: count('optimizer steps'),
    batch_size: count('samples a step, over all ranks', 65_536),
    micro_batch: z
      .int()
      .min(0)
      .max(65_536)
      .default(0)
      .describe(
        'samples a forward, over all ranks; gradients add up to the batch and S() scales with the means before the step. 0: the whole batch at once',
      ),
    precision: z
      .enum(['fp32', 'bf16'])
      .default('fp32')
      .describe('of forward and backward; weights, time, norms, losses and statistics are always fp32'),
    activation_checkpointing: z
      .boolean()
      .default(false)
      .describe('recompute activations in the backward pass: less memory, a third more time'),
    compile_blocks: z
      .boolean()
      .default(false)
      .describe(
        'compile the repeated blocks of student and teacher: faster steps after minutes at the start; other rounding than without',
      ),
    rollbacks: z
      .int()
      .min(0)
      .max(100)
      .default(0)
      .describe('losses or gradients that are not finite which the stage skips before it fails'),
    optimizer: OptimizerConfig,
    ema_decay: share('d in min(d, (1+n)/(10+n)); evaluation, export and children read the EMA').default(
      0.999,
    ),
    caption_dropout: share('share of samples that train without caption').default(0.1),
    encoder_dropout: share(
      "share of samples without the states of one text encoder, for each of the student's by itself; SD3 .464",
    ).default(0),
    log_every: count('steps between logged scalars').default(10),
    validate_every: count('steps between held-out statistics by t').default(250),
    validate_per_bin: count('held-out samples in each of the 20 bins of t', 1024).default(16),
    checkpoint_every: count('steps between checkpoints').default(500),
    seed: z.int().min(0).default(0),
  })
  .meta({ id: 'TrainingConfig' })
