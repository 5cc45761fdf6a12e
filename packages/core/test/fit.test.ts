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
      'parts that do not divide the batch',
      { 'distill.training.micro_batch': 12 },
      'distill.training.micro_batch',
      /12 does not divide batch_size 32/,
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
