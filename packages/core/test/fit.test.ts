import { readFileSync } from 'node:fs'
import type { Recipe } from '@limbeck/contracts'
import { describe, expect, it } from 'vitest'
import { getPreset, planRun, type RecipeIssue } from '../src/index.ts'

const preset = (name: string): Recipe => structuredClone(getPreset(name) as Recipe)
const tiny = (): Recipe => preset('tiny-study')

function issues(recipe: Recipe, overrides = {}): RecipeIssue[] {
  const plan = planRun(recipe, overrides)
  return plan.ok ? [] : plan.error
}

const snapgenText = { encoder: 'snapgen', width: 2304, clip: 'l+g', gemma_tokens: 128, prefix: '' }

describe('a recipe whose stages do not fit is refused before anything runs', () => {
  it('says nothing about one whose stages fit', () => {
    expect(issues(tiny())).toEqual([])
  })

  it.each([
    [
      'student text of another width than the model reads',
      { 'features.student_text': snapgenText },
      'pretrain.model',
      /reads text 64 wide, its features hold student text 2304 wide/,
    ],
    [
      'an evaluation with another student text than the model was trained on',
      { 'evaluate_distilled.student_text': snapgenText },
      'evaluate_distilled.student_text',
      /is .*snapgen.*; the model was trained on .*words/,
    ],
    [
      'an export with another student text',
      { 'export.student_text.seed': 8 },
      'export.student_text',
      /"seed":8.*was trained on .*"seed":7/,
    ],
    [
      'a distillation without its teacher’s text',
      { 'features.teacher_text': false },
      'distill.inputs.features',
      /reads the teacher's text/,
    ],
    [
      'a model that goes on from another one',
      { 'control.model.stages.0.channels': 32 },
      'control.model.stages',
      /is .*32.*, the initial model's is .*16/,
    ],
    [
      'latents of another size over the same features',
      { 'control.model.latent_size': 8 },
      'control.inputs.features',
      /works on latents of edge 8, pretrain on 16 of the same features/,
    ],
    [
      'a decoder of other latents',
      { 'decoder.decoder.latent_channels': 16 },
      'pretrain.inputs.features',
      /latents of channels 4, decoder on 16 of the same features/,
    ],
    [
      'a few-step model judged on a grid that it never saw',
      { 'evaluate_few_step.protocols.1.grid': [1, 0.9, 0.75, 0.5] },
      'evaluate_few_step.protocols.1',
      /samples on \[1,0.9,0.75,0.5\]; the model is trained on .*"4":\[1,0.75,0.5,0.25\]/,
    ],
    [
      'phases of another number of step times',
      { 'few_step.time_phases': [{ until: 0.5, weights: [0.5, 0.5] }] },
      'few_step.time_phases.0.weights',
      /holds 2 weights; the grids have 8 distinct times/,
    ],
    [
      'a perceptual loss without its weights',
      { 'decoder.lpips_weight': 1 },
      'decoder.inputs.perceptual',
      /lpips_weight is above 0/,
    ],
    [
      'a protocol of another number of steps than its grid has',
      { 'evaluate_distilled.protocols.1.steps': 4 },
      'evaluate_distilled.protocols.1.grid',
      /holds 8 times for 4 steps/,
    ],
    [
      'an evaluation that does not say which text',
      { 'evaluate_distilled.student_text': null },
      'evaluate_distilled.student_text',
      /must say which encoder/,
    ],
    [
      'parts that do not divide the batch',
      { 'distill.training.micro_batch': 12 },
      'distill.training.micro_batch',
      /12 does not divide batch_size 32/,
    ],
    [
      'blocks to compile where there are none',
      { 'decoder.training.compile_blocks': true },
      'decoder.training.compile_blocks',
      /a distill_decoder stage has no repeated blocks/,
    ],
  ])('%s', (_, overrides, path, message) => {
    const found = issues(tiny(), overrides)
    expect(found.map((issue) => issue.path)).toContain(path)
    expect(found.find((issue) => issue.path === path)?.message).toMatch(message)
  })

  it('lets an even grid stand for the same times written out', () => {
    expect(issues(tiny(), { 'evaluate_few_step.protocols.1.grid': null })).toEqual([])
    expect(
      issues(tiny(), {
        'evaluate_few_step.protocols.1.grid': null,
        'evaluate_few_step.protocols.1.shift': 3,
      }),
    ).toHaveLength(1)
  })

  it('lets a UNet go on at another resolution, on features of its own', () => {
    const recipe = tiny()
    const features = recipe.stages.find((stage) => stage.name === 'features')
    const control = recipe.stages.find((stage) => stage.name === 'control')
    if (!features || control?.spec.kind !== 'pretrain') throw new Error('the preset changed')
    recipe.stages.push({ ...structuredClone(features), name: 'features_large' })
    recipe.stages.push({
      ...structuredClone(control),
      name: 'large',
      spec: { ...control.spec, model: { ...control.spec.model, latent_size: 32 } },
      inputs: { features: 'stage:features_large', initial: 'stage:pretrain' },
    })
    expect(issues(recipe)).toEqual([])
  })

  it('knows the latents of an autoencoder that the recipe itself trains', () => {
    const withAutoencoder = (latent_channels: number, channels: number[]): Recipe => {
      const recipe = tiny()
      const decoder = recipe.stages.find(({ name }) => name === 'decoder')
      if (decoder?.spec.kind !== 'distill_decoder') throw new Error('the preset changed')
      const { training } = decoder.spec
      recipe.stages.push({
        name: 'autoencoder',
        spec: {
          kind: 'pretrain_autoencoder',
          autoencoder: { channels, layers_per_block: 1, latent_channels, norm_groups: 8 },
          text: { encoder: 'words', vocabulary: 'shapes-v1', width: 64, tokens: 6, seed: 7 },
          training,
          l1_weight: 0.3,
          kl_weight: 2e-4,
        },
        inputs: { dataset: 'stage:render' },
        after: [],
        resource_class: 'cpu',
        max_seconds: 60,
        stall_seconds: 60,
      })
      const features = recipe.stages.find(({ name }) => name === 'features')
      if (features) features.inputs.snapshot = 'stage:autoencoder'
      return recipe
    }
    expect(issues(withAutoencoder(4, [16, 32, 64]))).toEqual([])
    const [channels, edge] = [
      issues(withAutoencoder(8, [16, 32, 64])),
      issues(withAutoencoder(4, [16, 32, 64, 64])),
    ]
    expect(channels.map(({ message }) => message)).toContain(
      'works on latents of channels 4, features on 8 of the same features',
    )
    expect(edge.map(({ message }) => message)).toContain(
      'works on latents of edge 16, features on 8 of the same features',
    )
  })

  it('refuses a distillation on features of another student text than its base read', () => {
    const recipe = tiny()
    const features = recipe.stages.find((stage) => stage.name === 'features')
    const distill = recipe.stages.find((stage) => stage.name === 'distill')
    if (features?.spec.kind !== 'extract_features' || !distill) throw new Error('the preset changed')
    const text = { ...features.spec.student_text, seed: 8 } as typeof features.spec.student_text
    recipe.stages.push({
      ...structuredClone(features),
      name: 'others',
      spec: { ...features.spec, student_text: text },
    })
    distill.inputs.features = 'stage:others'
    expect(issues(recipe).map(({ path }) => path)).toContain('distill.inputs.features')
  })

  it('needs no teacher’s text in the features of a distillation that encodes it live', () => {
    const live = Object.fromEntries(
      ['distill', 'few_step', 'kd_only'].map((stage) => [`${stage}.teacher_text`, 'live']),
    )
    expect(issues(tiny(), { 'features.teacher_text': false, ...live })).toEqual([])
  })

  it('accepts parts that divide the batch', () => {
    expect(issues(tiny(), { 'distill.training.micro_batch': 8 })).toEqual([])
  })
})

describe('the large presets', () => {
  const modelOf = (name: string, stage = 'pretrain') => {
    const spec = preset(name).stages.find((candidate) => candidate.name === stage)?.spec
    if (spec?.kind !== 'pretrain' || spec.model.architecture !== 'unet')
      throw new Error(`${name} has no UNet`)
    return spec.model
  }

  it('train one net at three resolutions: only the latent grows', () => {
    const [small, middle, large] = ['snapgen-256', 'snapgen-512', 'snapgen-1024'].map((name) => modelOf(name))
    expect([small?.latent_size, middle?.latent_size, large?.latent_size]).toEqual([32, 64, 128])
    expect({ ...small, latent_size: 0 }).toEqual({ ...large, latent_size: 0 })
    expect({ ...middle, latent_size: 0 }).toEqual({ ...large, latent_size: 0 })
  })

  it.each([
    ['snapgen-1024', 'snapgen-1024', {}],
    ['imagenet-256', 'snapgen-1024', { latent_channels: 4, latent_size: 32, context_width: 768 }],
  ])('%s is the model whose parameters are counted', (name, file, changes) => {
    const source = JSON.parse(
      readFileSync(new URL(`../../../recipes/models/${file}.json`, import.meta.url), 'utf8'),
    )
    expect(modelOf(name)).toEqual({ ...source.model, ...changes })
  })

  it('distil only at 1024 px, where the paper does', () => {
    const kinds = (name: string) => preset(name).stages.map((stage) => stage.spec.kind)
    expect(kinds('snapgen-256')).toEqual(['extract_features', 'pretrain'])
    expect(kinds('snapgen-512')).toEqual(['extract_features', 'pretrain'])
    expect(kinds('snapgen-1024')).toContain('distill')
  })

  it('take few steps on the shifted grid that inference uses', () => {
    const few = preset('snapgen-1024').stages.find((stage) => stage.name === 'few_step')?.spec
    if (few?.kind !== 'distill_steps') throw new Error('the preset changed')
    expect(few.grids['4']).toEqual([1, 0.9, 0.75, 0.5])
    expect(few.time.shift).toBe(3)
  })
})
