import { describe, expect, it } from 'vitest'
import { attemptJoins, attemptRuns } from '../attempts.ts'
import { axisScale } from '../axis-scale.ts'
import { toColumns } from '../columns.ts'
import { toCurve } from '../series.ts'
import { bucket, series } from './points.ts'

const linear = axisScale('linear')

describe('attempts', () => {
  it('are stretches in order, and one may come back behind a newer one', () => {
    expect(attemptRuns([1, 1, 2, 1])).toEqual([
      { attempt: 1, from: 0, to: 1 },
      { attempt: 2, from: 2, to: 2 },
      { attempt: 1, from: 3, to: 3 },
    ])
    expect(attemptRuns([])).toEqual([])
  })

  it('are joined from the last finite value to the next first one', () => {
    const runs = attemptRuns([1, 1, 2, 2])
    expect(attemptJoins(runs, [1, 2, 3, 4])).toEqual([{ from: 1, to: 2 }])
    expect(attemptJoins(runs, [1, null, null, 4])).toEqual([{ from: 0, to: 3 }])
    expect(attemptJoins(runs, [null, null, 3, 4])).toEqual([])
  })

  it('break the line, and the dotted segment bridges the break', () => {
    const buckets = [bucket(10, 5), bucket(20, 4), bucket(30, 3, { epoch: 2 }), bucket(40, 2, { epoch: 2 })]
    const { data, joins } = toColumns([toCurve(series(buckets), 'step', 0)], linear)
    expect(data[0]).toEqual([10, 20, 25, 30, 40])
    expect(data[3]).toEqual([5, 4, null, 3, 2])
    expect(joins).toEqual([{ key: 'loss/task', x: [20, 30], y: [4, 3] }])
  })

  it('join the line that is drawn: the smoothed one', () => {
    const buckets = [bucket(10, 8), bucket(20, 0), bucket(30, 3, { epoch: 2 })]
    const { data, joins } = toColumns([toCurve(series(buckets), 'step', 10)], linear)
    expect(data.length).toBe(5)
    expect(joins[0]?.y[0]).toBeCloseTo((8 * 0.5) / 1.5, 12)
  })

  it('of one bucket each are points and joins only', () => {
    const buckets = [1, 2, 3].map((epoch) => bucket(epoch * 10, epoch, { epoch }))
    const { data, joins, isolated } = toColumns([toCurve(series(buckets), 'step', 0)], linear)
    expect(joins.length).toBe(2)
    expect(isolated[2]?.map((row) => data[0][row])).toEqual([10, 20, 30])
  })
})
