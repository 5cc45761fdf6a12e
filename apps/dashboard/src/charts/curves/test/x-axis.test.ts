import { describe, expect, it } from 'vitest'
import { toCurve } from '../series.ts'
import { stepNear, windowOf } from '../step-near.ts'
import type { Clock } from '../types.ts'
import { formatPlaces, interpolate, placeNear, placeStep, stepAt } from '../x-axis.ts'
import { bucket, series } from './points.ts'

const clock: Clock = [
  [10, 100],
  [20, 200],
  [40, 240],
]

describe('a clock', () => {
  it('is interpolated inside and unknown outside', () => {
    expect([10, 15, 20, 30, 40].map((step) => interpolate(clock, step))).toEqual([100, 150, 200, 220, 240])
    expect([9, 41].map((step) => interpolate(clock, step))).toEqual([null, null])
    expect(interpolate([], 1)).toBeNull()
    expect(interpolate([[5, 50]], 5)).toBe(50)
  })

  it('is turned back into steps, from beyond its ends too', () => {
    const source = { processTime: clock }
    expect(stepAt('process', source, 220)).toBe(30)
    expect(stepAt('process', source, 5)).toBe(10)
    expect(stepAt('process', {}, 5)).toBeNull()
    expect(placeNear('process', source, 1000)).toBe(240)
  })
})

describe('places', () => {
  it('are steps, images and times', () => {
    const source = { batchSize: 64, processTime: clock, wallClock: clock }
    expect(
      (['step', 'images', 'process', 'wall'] as const).map((axis) => placeStep(axis, source, 20)),
    ).toEqual([20, 1280, 200, 200])
    expect(placeStep('images', {}, 20)).toBeNull()
    expect(stepAt('images', source, 1280)).toBe(20)
  })

  it('leave out, and count, what has no time', () => {
    const curve = toCurve(
      series([bucket(5, 1), bucket(10, 2), bucket(20, 3), bucket(50, 4)], { wallClock: clock }),
      'wall',
      0,
    )
    expect(curve.x).toEqual([100, 200])
    expect(curve.last).toEqual([2, 3])
    expect(curve.unplaced).toBe(2)
  })

  it('are ascending where time ran back, and two steps of one second stay two', () => {
    const wallClock: Clock = [
      [1, 50],
      [2, 50],
      [3, 10],
    ]
    const curve = toCurve(series([bucket(1, 1), bucket(2, 2), bucket(3, 3)], { wallClock }), 'wall', 0)
    expect(curve.step).toEqual([3, 1, 2])
    expect(curve.x[2]).toBeGreaterThan(curve.x[1] ?? 0)
  })
})

describe('back to steps', () => {
  it('takes the nearest step of any series', () => {
    const curves = [
      { x: [0, 10], step: [0, 1] },
      { x: [4], step: [7] },
    ]
    expect(stepNear(curves, 5)).toBe(7)
    expect(stepNear(curves, 9)).toBe(1)
    expect(stepNear([{ x: [], step: [] }], 9)).toBeNull()
  })

  it('takes a window that holds what was dragged over in all series', () => {
    const list = [series([], { batchSize: 10 }), series([], { batchSize: 20 })]
    expect(windowOf(list, 'images', [200, 400], { from: 0, to: 1000 })).toEqual({ from: 10, to: 40 })
    expect(windowOf([series([])], 'images', [200, 400], { from: 0, to: 1000 })).toBeNull()
  })
})

it('formats ticks by axis', () => {
  expect(formatPlaces('step', [0, 500, 10_000, 1_250_000])).toEqual(['0', '500', '10k', '1.25M'])
  expect(formatPlaces('process', [30, 300, 9000, 129_600])).toEqual(['30 s', '5 min', '2.5 h', '1.5 d'])
  const [first, second] = formatPlaces('wall', [1_700_000_000, 1_700_000_060])
  expect(first).toMatch(/^\d\d:\d\d\n\d+ Nov$/)
  expect(second).toMatch(/^\d\d:\d\d$/)
})
