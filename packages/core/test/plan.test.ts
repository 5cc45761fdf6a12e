import type { Recipe } from '@limbeck/contracts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { getPreset, listPresets, type Plan, planRun, type RecipeIssue } from '../src/index.ts'

const tiny = (): Recipe => structuredClone(getPreset('tiny-shapes') as Recipe)

function planned(recipe: Recipe, overrides = {}): Plan {
  const plan = planRun(recipe, overrides)
  if (!plan.ok) throw new Error(JSON.stringify(plan.error))
  return plan.value
}

function issues(recipe: Recipe, overrides = {}): RecipeIssue[] {
  const plan = planRun(recipe, overrides)
  if (plan.ok) throw new Error('the plan was accepted')
  return plan.error
}

describe('planRun', () => {
  it.each(listPresets().map((recipe) => recipe.name))('accepts the preset %s', (name) => {
    expect(planned(getPreset(name) as Recipe).stages.length).toBeGreaterThan(0)
  })

  it('orders every stage behind what it reads, whatever the order in the recipe', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(tiny().stages, { minLength: tiny().stages.length }), (stages) => {
        const plan = planned({ ...tiny(), stages })
        const needs = new Map(plan.stages.map((stage) => [stage.name, stage.needs]))
        expect(needs.get('distill')).toEqual(['features', 'pretrain'])
        expect(needs.get('export')).toEqual(['decoder', 'features', 'few_step'])
        expect(needs.get('gates')).toHaveLength(stages.length - 1)
      }),
    )
  })

  it('names the assets that must exist', () => {
    expect(planned(tiny()).assets).toEqual(['tiny-sd3'])
  })

  it('writes an override through a parameter into all its targets', () => {
    const plan = planned(tiny(), { 'model.attention': 'mha', 'distill.training.steps': 7 })
    const models = plan.stages.flatMap((stage) => (stage.spec.kind === 'pretrain' ? [stage.spec.model] : []))
    expect(models.map((model) => model.architecture === 'unet' && model.attention)).toEqual([
      'mha',
      'mha',
      'mha',
    ])
    const distill = plan.stages.find((stage) => stage.name === 'distill')
    expect(distill?.spec.kind === 'distill' && distill.spec.training.steps).toBe(7)
  })

  it.each([
    ['an unknown name', { 'foo.steps': 1 }, 'foo.steps', /neither a parameter nor a stage.*distill/],
    [
      'an unknown key',
      { 'distill.training.stepz': 1 },
      'distill.training.stepz',
      /does not exist.*steps, batch_size/,
    ],
    ['a wrong type', { 'distill.training.steps': 'many' }, 'distill.training.steps', /expected number/],
    ['a value out of range', { 'distill.training.steps': 0 }, 'distill.training.steps', />=1/],
    [
      'a place inside a number',
      { 'distill.training.steps.x': 1 },
      'distill.training.steps.x',
      /nothing: it is/,
    ],
    ['a bare stage', { distill: {} }, 'distill', /does not lead into/],
  ])('names an override with %s', (_what, overrides, path, message) => {
    expect(issues(tiny(), overrides)).toEqual([{ path, message: expect.stringMatching(message) }])
  })

  it('refuses a step-distilled model as the base of a distillation', () => {
    const recipe = tiny()
    const distill = recipe.stages.find((stage) => stage.name === 'distill')
    if (distill) distill.inputs.base = 'stage:few_step'
    expect(issues(recipe)).toContainEqual({
      path: 'distill.inputs.base',
      message: expect.stringContaining('"few_step" is a distill_steps; allowed: a pretrain stage'),
    })
  })

  it.each<[string, (recipe: Recipe) => void, string]>([
    ['a missing input', (recipe) => delete recipe.stages[1]?.inputs.dataset, 'features.inputs.dataset'],
    [
      'an input of another kind',
      (recipe) => Object.assign(recipe.stages[1]?.inputs ?? {}, { base: 'stage:render' }),
      'features.inputs.base',
    ],
    [
      'a stage that does not exist',
      (recipe) => Object.assign(recipe.stages[1]?.inputs ?? {}, { dataset: 'stage:rendr' }),
      'features.inputs.dataset',
    ],
    [
      'two stages of one name',
      (recipe) => recipe.stages.push(structuredClone(recipe.stages[0] as Recipe['stages'][0])),
      'render',
    ],
    [
      'a gate on a stage that does not exist',
      (recipe) => Object.assign(recipe.gates[0]?.metric ?? {}, { stage: 'exprt' }),
      'gates.unet-psnr',
    ],
    [
      'a release of the wrong stage',
      (recipe) => Object.assign(recipe.release ?? {}, { package: 'decoder' }),
      'release.package',
    ],
    [
      'an evaluation without a model',
      (recipe) => delete recipe.stages.find((stage) => stage.name === 'evaluate_control')?.inputs.model,
      'evaluate_control.inputs.model',
    ],
  ])('names %s', (_what, damage, path) => {
    const recipe = tiny()
    damage(recipe)
    expect(issues(recipe).map((issue) => issue.path)).toContain(path)
  })

  it('names the stages of a cycle', () => {
    const recipe = tiny()
    recipe.stages[0]?.after.push('features')
    expect(issues(recipe).map((issue) => issue.path)).toEqual(expect.arrayContaining(['render', 'features']))
  })
})
