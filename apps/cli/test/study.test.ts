import type { EvaluationResult, RunView } from '@limbeck/contracts'
import { getPreset } from '@limbeck/core'
import { describe, expect, it } from 'vitest'
import { compare, refuseWithoutArms, resultOf } from '../src/study/compare.ts'

const IMAGES = 6 * 4

/** A run with one evaluation for each given role and number of steps, `right` of its images correct. */
function run(arms: { role: string; steps: number; right: number; guidance?: number }[]): RunView {
  const evaluations = arms.map(
    ({ role, steps, right, guidance = 2 }): EvaluationResult => ({
      role,
      protocol: {
        benchmark: 'shapes-geneval',
        prompts_per_tag: 4,
        held_out_per_tag: 0,
        images_per_prompt: 1,
        seed: 1,
        sampler: 'flow-euler',
        dtype: 'float32',
        scorer: 'shapes-detector-v1',
        steps,
        grid: null,
        shift: 1,
        guidance_scale: guidance,
      },
      protocol_hash: `${steps}${guidance}`.padEnd(64, 'a'),
      parameters: 1,
      overall: right / IMAGES,
      interval: [0, 1],
      per_tag: {},
      held_out: null,
      verdicts: Array.from({ length: IMAGES }, (_, index) => index < right),
      images_per_second: 1,
      extra: [],
    }),
  )
  return { stages: [{ result: { metrics: {}, warnings: [], evaluations } }] } as unknown as RunView
}

const distilled = { role: 'distilled', steps: 28 }
const control = { role: 'control_steps', steps: 28 }

describe('a study compares arms over its runs', () => {
  it('by the paired difference of the evaluators', () => {
    const runs = [0, 1, 2].map(() =>
      run([
        { ...distilled, right: IMAGES },
        { ...control, right: 0 },
      ]),
    )
    const answer = compare(runs, { first: distilled, second: control, across: false })
    expect(answer).toMatchObject({
      difference: 1,
      interval: [1, 1],
      verdict: 'better',
      by_seed: [1, 1, 1],
      images: IMAGES,
    })
  })

  it('not at all where a run lacks an arm', () => {
    const whole = run([
      { ...distilled, right: 1 },
      { ...control, right: 1 },
    ])
    expect(resultOf(whole, { role: 'distilled', steps: 4 })).toBeNull()
    const lacking = run([{ ...distilled, right: 1 }])
    expect(compare([whole, lacking], { first: distilled, second: control, across: false })).toBeNull()
  })

  it('told apart by guidance where a role is judged at several', () => {
    const one = run([
      { role: 'distilled', steps: 4, right: 6 },
      { role: 'distilled', steps: 4, right: 12, guidance: 1 },
    ])
    expect(resultOf(one, { role: 'distilled', steps: 4, guidance: 1 })?.overall).toBe(0.5)
    expect(resultOf(one, { role: 'distilled', steps: 4, guidance: 2 })?.overall).toBe(0.25)
  })

  it('under other steps or guidance only where the question says so', () => {
    const few = { role: 'few_step', steps: 4 }
    const runs = [0, 1].map(() =>
      run([
        { ...distilled, right: 6 },
        { ...few, right: 6, guidance: 1 },
      ]),
    )
    expect(compare(runs, { first: few, second: distilled, across: true })?.difference).toBe(0)
    expect(() => compare(runs, { first: few, second: distilled, across: false })).toThrow(
      /different protocols/,
    )
  })

  it('only of a recipe that judges them', () => {
    const preset = (name: string) => {
      const recipe = getPreset(name)
      if (!recipe) throw new Error(`no preset ${name}`)
      return recipe
    }
    for (const name of ['tiny-study', 'tiny-shapes'])
      expect(() => refuseWithoutArms(preset(name))).not.toThrow()
    expect(() => refuseWithoutArms(preset('tiny-shapes-quick'))).toThrow(
      'recipe tiny-shapes-quick judges no control_steps; it judges: teacher, distilled, few_step',
    )
  })
})
