import type { StageId } from '@limbeck/contracts'
import { describe, expect, it } from 'vitest'
import type { Points } from '../../charts/curves/types.ts'
import { toGrid } from '../../charts/heat-map/grid.ts'
import { guardMarks } from '../guards.ts'

const stage = { attempts: [] }
const points = (name: string, buckets: Partial<Points['buckets'][number]>[]): Points => ({
  stage: 'stg_x' as StageId,
  name,
  total_points: buckets.length,
  buckets: buckets.map((bucket, index) => ({
    step: 10 * (index + 1),
    last: 1,
    min: 0,
    max: 0,
    count: 1,
    non_finite: 0,
    epoch: 1,
    ...bucket,
  })),
})

describe('guards', () => {
  it('mark where a bin begins to be worse, not each row in which it stays so', () => {
    const worse = toGrid([
      { step: 10, values: [0, 1] },
      { step: 20, values: [0, 1] },
      { step: 30, values: [1, 0] },
      { step: 40, values: [0, 1] },
    ])
    const marks = guardMarks(stage, worse, [], [])
    expect(marks.map(({ step, bin }) => [step, bin])).toEqual([
      [10, 1],
      [30, 0],
      [40, 1],
    ])
    expect(marks[0]).toMatchObject({ kind: 'teacher_worse', text: expect.stringContaining('t = 0.50') })
  })

  it('mark losses that are not finite, and ratios that come to their limit, in the order of steps', () => {
    const losses = [points('loss/task', [{}, { non_finite: 3 }])]
    const clamped = [points('scaling/clamped_output', [{ max: 0.25 }, { max: 0.5 }, { max: 0 }, { max: 1 }])]
    expect(guardMarks(stage, null, losses, clamped).map(({ step, text }) => `${step} ${text}`)).toEqual([
      '10 output: ratio at its limit for 25.0 % of the samples',
      '20 loss/task not finite, 3 times up to here',
      '40 output: ratio at its limit for 100.0 % of the samples',
    ])
  })

  it('mark resumes, and not the first attempt', () => {
    const attempt = {
      worker: 'wrk_x' as never,
      worker_name: 'w',
      started_at: '2026-01-01T00:00:00Z',
      ended_at: null,
      outcome: null,
      reason: null,
      message: null,
      last_checkpoint_step: null,
    }
    const attempts = [
      { ...attempt, epoch: 1, resumed_from_step: null },
      { ...attempt, epoch: 2, resumed_from_step: 17_000 },
    ]
    expect(guardMarks({ attempts }, null, [], [])).toEqual([
      { step: 17_000, kind: 'rollback', text: 'attempt 2 goes on from step 17000' },
    ])
  })
})
