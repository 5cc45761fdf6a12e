import { describe, expect, it } from 'vitest'
import { rolePaths } from '../score-paths.ts'
import { measuresOf, nearestPoint, notRunReasons, pointsOf, type ScorePoint } from '../score-points.ts'
import { evaluation } from './support.ts'

const frechet = (value: number | null, name: string) => ({
  scorer: 'frechet' as const,
  name,
  value,
  interval: null,
  not_run: value === null ? 'reference missing' : null,
})
const one = evaluation({
  id: 'one',
  created_at: '2026-11-27T12:00:00.000Z',
  extra: [frechet(9, 'FID@300[a]')],
})
const two = evaluation({
  id: 'two',
  created_at: '2026-11-27T10:00:00.000Z',
  overall: 0.25,
  held_out: { score: 0.125, images: 60, interval: [0, 0.5] },
  extra: [frechet(12, 'FID@300[b]')],
})
const three = evaluation({ id: 'three', extra: [frechet(null, 'frechet')] })
const time = ({ created_at }: { created_at: string }): number => Date.parse(created_at)

describe('measuresOf', () => {
  it('keeps scores under different names apart: another reference is another score', () => {
    const labels = measuresOf([one, two, three]).map(({ label }) => label)
    expect(labels).toContain('Fréchet distance: FID@300[a]')
    expect(labels).toContain('Fréchet distance: FID@300[b]')
    expect(labels).not.toContain('Fréchet distance: frechet')
    expect(labels).toContain('held out')
    expect(measuresOf([one]).map(({ label }) => label)).not.toContain('held out')
  })
})

describe('pointsOf', () => {
  it('ascends in x, with the interval of each', () => {
    const { points, without } = pointsOf([one, two], { key: 'overall', label: '', share: true }, time)
    expect(points.map(({ id, value, interval }) => [id, value, interval])).toEqual([
      ['two', 0.25, [0.4, 0.6]],
      ['one', 0.5, [0.4, 0.6]],
    ])
    expect(without).toBe(0)
  })

  it('counts what has no such score or no place, and never draws it at 0', () => {
    const measure = measuresOf([one]).find(({ label }) => label.includes('FID')) as ReturnType<
      typeof measuresOf
    >[0]
    expect(pointsOf([one, two, three], measure, time)).toMatchObject({ points: [{ value: 9 }], without: 2 })
    expect(pointsOf([one, two], { key: 'overall', label: '', share: true }, () => null)).toEqual({
      points: [],
      without: 2,
    })
  })
})

it('names each reason once, with how many it holds for', () => {
  expect(notRunReasons([one, three, evaluation({ extra: three.extra })])).toEqual([
    'Fréchet distance not run: reference missing (2 of 3)',
  ])
})

const point = (x: number, interval: ScorePoint['interval'] = null): ScorePoint => ({
  id: String(x),
  role: 'distilled',
  x,
  value: 1,
  interval,
  label: '',
})

it('finds the nearest point', () => {
  expect(nearestPoint([point(0), point(10), point(30)], 19)?.x).toBe(10)
  expect(nearestPoint([point(0), point(10), point(30)], 21)?.x).toBe(30)
  expect(nearestPoint([], 1)).toBeNull()
})

it('draws a line, an interval where there is one, and a sign for each point', () => {
  const same = (value: number): number => value
  const { line, intervals, signs } = rolePaths([point(1, [0, 2]), point(5)], same, same, 1)
  expect(line).toBe('M1.0 1.0L5.0 1.0')
  expect(intervals).toBe('M1.0 0.0V2.0')
  expect(signs.match(/M/g)).toHaveLength(2)
})
