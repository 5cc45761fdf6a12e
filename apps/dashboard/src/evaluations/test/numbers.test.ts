import { describe, expect, it } from 'vitest'
import { extraText } from '../extra-score.ts'
import { axisOf, intervalText, parametersText, placeOn, scoreText, signedText } from '../numbers.ts'

it('words an interval, and one without spread', () => {
  expect(intervalText([0.0199, 0.0864])).toBe('0.020 to 0.086')
  expect(intervalText([0, 0])).toBe('0.000, no spread in the sample')
  expect(intervalText([-0.02, 0.015], signedText)).toBe('−0.020 to +0.015')
})

it('gives a sign to what is not 0 in three decimals', () => {
  expect([0.0134, -0.2, 0, -0.0004, 0.0005].map(signedText)).toEqual([
    '+0.013',
    '−0.200',
    '0.000',
    '0.000',
    '+0.001',
  ])
})

it('counts parameters in their unit', () => {
  expect([240_244, 378_900_000, 2_600_000_000].map(parametersText)).toEqual(['240 k', '379 M', '2.6 B'])
})

describe('axisOf', () => {
  it('holds every interval and stays within the limits', () => {
    const [low, high] = axisOf(
      [
        [0.0199, 0.0864],
        [0, 0.31],
      ],
      [0, 1],
    )
    expect(low).toBe(0)
    expect(high).toBeGreaterThanOrEqual(0.31)
    expect(high).toBeLessThan(0.4)
    expect(axisOf([[0.9, 1]], [0, 1])[1]).toBe(1)
  })

  it('has a width even for one value', () => {
    const [low, high] = axisOf([[0.5, 0.5]], [0, 1])
    expect(high - low).toBeGreaterThanOrEqual(0.05)
    expect(placeOn(0.5, [low, high])).toBeCloseTo(0.5, 6)
  })

  it('is the limits without intervals', () => {
    expect(axisOf([], [0, 1])).toEqual([0, 1])
  })
})

it('places a value on an axis and keeps what is outside at its edge', () => {
  expect([0.1, 0.2, 0.3, 0.9].map((value) => placeOn(value, [0.1, 0.3]))).toEqual(
    [0, 0.5, 1, 1].map((x) => expect.closeTo(x, 9)),
  )
})

describe('extraText', () => {
  const score = { scorer: 'clip-score' as const, name: 'ViT-L/14', interval: null, not_run: null }

  it('gives the value with its interval, or the reason that there is none; never 0 in its place', () => {
    expect(extraText({ ...score, value: 0.31234, interval: [0.3011, 0.323] })).toBe(
      '0.3123 (0.3011 to 0.323)',
    )
    expect(extraText({ ...score, value: 12.345 })).toBe('12.35')
    expect(extraText({ ...score, value: null, not_run: 'weights missing' })).toBe('not run: weights missing')
    expect(extraText({ ...score, value: null })).toBe('not run: no reason was given')
  })

  it('keeps a value of 0', () => {
    expect(extraText({ ...score, value: 0 })).toBe(scoreText(0))
  })
})
