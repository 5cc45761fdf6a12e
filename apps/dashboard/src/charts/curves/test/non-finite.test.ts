import { describe, expect, it } from 'vitest'
import { clusterMarks, clusterText, nextMark, nonFiniteCount, nonFiniteMarks } from '../non-finite.ts'
import { bucket, points } from './points.ts'

const data = points([
  bucket(10, 1),
  bucket(20, 'NaN', { min: 1, max: 2, count: 5, non_finite: 3 }),
  bucket(30, 2, { count: 5, non_finite: 1 }),
  bucket(40, 'Infinity'),
  bucket(90, '-Infinity'),
])

describe('marks', () => {
  const marks = nonFiniteMarks(data)

  it('name each bucket with its count, by its last value', () => {
    expect(marks).toEqual([
      { step: 20, kind: 'NaN', count: 3, of: 5 },
      { step: 30, kind: 'inside', count: 1, of: 5 },
      { step: 40, kind: 'Infinity', count: 1, of: 1 },
      { step: 90, kind: '-Infinity', count: 1, of: 1 },
    ])
    expect(nonFiniteCount(marks)).toBe(6)
  })

  it('hold an all-NaN series whole, and nothing of an empty one', () => {
    const all = Array.from({ length: 1200 }, (_, index) => bucket(index, 'NaN'))
    expect(nonFiniteMarks(points(all)).length).toBe(1200)
    expect(nonFiniteMarks(points([]))).toEqual([])
  })

  it('are jumped to in both directions, and from nowhere to the first or the last', () => {
    expect(nextMark(marks, 20, 1)?.step).toBe(30)
    expect(nextMark(marks, 20, -1)).toBeNull()
    expect(nextMark(marks, 89, -1)?.step).toBe(40)
    expect(nextMark(marks, null, 1)?.step).toBe(20)
    expect(nextMark(marks, null, -1)?.step).toBe(90)
  })
})

describe('clusters', () => {
  it('join what is close on the screen and lose no count', () => {
    const clusters = clusterMarks(nonFiniteMarks(data), (step) => step, 15)
    expect(clusters).toEqual([
      { step: 20, to: 30, left: 20, count: 4, kind: 'mixed' },
      { step: 40, to: 40, left: 40, count: 1, kind: 'Infinity' },
      { step: 90, to: 90, left: 90, count: 1, kind: '-Infinity' },
    ])
    expect(clusters.map(clusterText)).toEqual([
      'steps 20 to 30: 4 not finite, of several kinds',
      'step 40: 1 Infinity',
      'step 90: 1 -Infinity',
    ])
  })

  it('keep 1,200 NaN buckets few', () => {
    const all = nonFiniteMarks(points(Array.from({ length: 1200 }, (_, index) => bucket(index, 'NaN'))))
    const clusters = clusterMarks(all, (step) => step / 2, 12)
    expect(clusters.length).toBe(50)
    expect(clusters.reduce((sum, { count }) => sum + count, 0)).toBe(1200)
  })

  it('leave out what is not in view', () => {
    expect(clusterMarks(nonFiniteMarks(data), (step) => (step > 50 ? step : null), 5).length).toBe(1)
  })
})
