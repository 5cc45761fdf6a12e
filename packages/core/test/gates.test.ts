import type { Recipe, StageResult } from '@limbeck/contracts'
import { describe, expect, it } from 'vitest'
import { evaluateGates, getPreset } from '../src/index.ts'

const recipe = getPreset('tiny-shapes') as Recipe
const evaluation = (steps: number, overall: number, held_out: number | null) =>
  ({
    overall,
    held_out: held_out === null ? null : { score: held_out, images: 10, interval: [0, 1] },
    protocol: { steps },
  }) as unknown as StageResult['evaluations'][number]
const result = (
  metrics: Record<string, number>,
  evaluations: StageResult['evaluations'] = [],
): StageResult => ({ metrics, warnings: [], evaluations })

const gate = (
  name: string,
  comparator: '>=' | '<=',
  threshold: number,
  baseline = false,
): Recipe['gates'][number] => ({
  name,
  metric: { source: 'evaluation', stage: 'evaluate_few_step', steps: 4, value: 'overall' },
  baseline: baseline
    ? { source: 'evaluation', stage: 'evaluate_distilled', steps: 28, value: 'overall' }
    : null,
  comparator,
  threshold,
  rationale: '',
})
const judge = (gates: Recipe['gates'], results: Record<string, StageResult>) =>
  evaluateGates({ ...recipe, gates }, results)

describe('evaluateGates', () => {
  const results = {
    evaluate_few_step: result({}, [evaluation(8, 0.9, null), evaluation(4, 0.5, 0.25)]),
    evaluate_distilled: result({}, [evaluation(28, 0.625, null)]),
  }

  it('passes at the threshold itself and fails just beside it', () => {
    expect(
      judge(
        [
          gate('at', '>=', 0.5),
          gate('over', '>=', 0.500001),
          gate('most', '<=', 0.5),
          gate('under', '<=', 0.499999),
        ],
        results,
      ).map((it) => it.passed),
    ).toEqual([true, false, true, false])
  })

  it('compares the difference where the gate has a baseline', () => {
    expect(judge([gate('difference', '>=', -0.125, true)], results)[0]).toMatchObject({
      measured: -0.125,
      passed: true,
      required: '>= -0.125',
    })
  })

  it.each([
    ['no such stage result', {}],
    ['no such protocol', { evaluate_few_step: result({}, [evaluation(8, 1, 1)]) }],
  ])('never passes what was not measured: %s', (_what, partial) => {
    expect(
      judge(
        [gate('absent', '>=', -100), gate('absent-below', '<=', 100)],
        partial as Record<string, StageResult>,
      ),
    ).toMatchObject([
      { measured: null, passed: false },
      { measured: null, passed: false },
    ])
  })

  it('does not pass when only the baseline is missing', () => {
    expect(
      judge([gate('difference', '>=', -100, true)], { evaluate_few_step: results.evaluate_few_step })[0],
    ).toMatchObject({ measured: null, passed: false })
  })

  it('does not pass a NaN', () => {
    const metric = { source: 'metric' as const, stage: 'export', name: 'unet_psnr_db' }
    const [at] = judge([{ ...gate('nan', '>=', 1), metric }], {
      export: result({ unet_psnr_db: Number.NaN }),
    })
    expect(at?.passed).toBe(false)
  })
})
