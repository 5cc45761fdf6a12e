import type { StageView } from '@limbeck/contracts'
import { expect, it } from 'vitest'
import { sampleColumns, withoutResult } from '../columns.ts'

const stage = (
  name: string,
  role: string,
  protocols: [steps: number, guidance: number, hash: string][],
  ended_at: string | null = '2026-11-27T10:00:00.000Z',
): StageView =>
  ({
    name,
    kind: 'evaluate',
    output: 'f'.repeat(64),
    ended_at,
    result: {
      evaluations: protocols.map(([steps, guidance_scale, protocol_hash]) => ({
        role,
        protocol_hash,
        protocol: { steps, guidance_scale },
      })),
    },
  }) as unknown as StageView

it('orders by role, then from many steps to few', () => {
  const columns = sampleColumns({
    stages: [
      stage('few', 'few_step', [
        [4, 2, 'a4'],
        [8, 2, 'a8'],
      ]),
      stage('plain', 'distilled', [[28, 1, 'b1']]),
      stage('guided', 'distilled', [[28, 2, 'b2']]),
      stage('unknown', 'mascot', [[28, 2, 'm']]),
      stage('teacher', 'teacher', [[28, 2, 'b2']]),
      stage('control', 'control', [[28, 2, 'b2']]),
    ],
  })
  expect(columns.map(({ title }) => title)).toEqual([
    'teacher, 28 steps, guidance 2',
    'control, 28 steps, guidance 2',
    'distilled, 28 steps, guidance 2',
    'distilled, 28 steps, guidance 1',
    'few_step, 8 steps, guidance 2',
    'few_step, 4 steps, guidance 2',
    'mascot, 28 steps, guidance 2',
  ])
})

it('makes one column of the evaluations of a role under one protocol, oldest first', () => {
  const [column, ...rest] = sampleColumns({
    stages: [
      stage('leg_3', 'distilled', [[28, 2, 'x']], null),
      stage('leg_2', 'distilled', [[28, 2, 'x']], '2026-11-27T12:00:00.000Z'),
      stage('leg_1', 'distilled', [[28, 2, 'x']], '2026-11-27T09:00:00.000Z'),
    ],
  })
  expect(rest).toEqual([])
  expect(column?.versions.map((version) => version.stage)).toEqual(['leg_1', 'leg_2', 'leg_3'])
})

it('names evaluate stages without a result, and no others', () => {
  const waiting = { name: 'evaluate_few', kind: 'evaluate', state: 'queued', result: null }
  const training = { name: 'distill', kind: 'distill', state: 'running', result: null }
  const stages = [waiting, training, stage('done', 'teacher', [[28, 2, 'x']])] as unknown as StageView[]
  expect(withoutResult({ stages }).map(({ name }) => name)).toEqual(['evaluate_few'])
})
