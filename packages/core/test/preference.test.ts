import { describe, expect, it } from 'vitest'
import { bradleyTerry, startOf, swapped } from '../src/index.ts'

const zero = (size: number): number[][] =>
  Array.from({ length: size }, () => Array.from({ length: size }, () => 0))

/** Wins as a table from [winner, loser, times]. */
function tally(size: number, wins: [number, number, number][], ties: [number, number, number][] = []) {
  const found = { wins: zero(size), ties: zero(size) }
  for (const [i, j, times] of wins) (found.wins[i] as number[])[j] = times
  for (const [i, j, times] of ties) {
    ;(found.ties[i] as number[])[j] = times
    ;(found.ties[j] as number[])[i] = times
  }
  return found
}

describe('Bradley-Terry', () => {
  it('of two models is the log of the odds, with half a win each way', () => {
    const [first, second] =
      bradleyTerry(
        tally(2, [
          [0, 1, 30],
          [1, 0, 10],
        ]),
      ) ?? []
    expect((first?.value ?? 0) - (second?.value ?? 0)).toBeCloseTo(Math.log(30.5 / 10.5), 8)
    // Variance of a log odds is 1 / wins + 1 / losses; a strength is half of the difference.
    const half = (1.959964 * Math.sqrt(1 / 30.5 + 1 / 10.5)) / 2
    expect(first?.interval[1]).toBeCloseTo((first?.value ?? 0) + half, 5)
    expect(first?.interval[0]).toBeCloseTo((first?.value ?? 0) - half, 5)
  })

  it('takes a tie as half a win for each', () => {
    const tied = bradleyTerry(tally(2, [[0, 1, 10]], [[0, 1, 20]]))
    const halved = bradleyTerry(
      tally(2, [
        [0, 1, 20],
        [1, 0, 10],
      ]),
    )
    expect(tied?.[0]?.value).toBeCloseTo(halved?.[0]?.value ?? Number.NaN, 8)
  })

  it('brings strengths back that made the votes', () => {
    const truth = [0.8, 0.1, -0.9]
    const table = zero(3)
    for (const i of [0, 1, 2])
      for (const j of [0, 1, 2])
        if (i !== j)
          (table[i] as number[])[j] = 1e6 / (1 + Math.exp((truth[j] as number) - (truth[i] as number)))
    const found = bradleyTerry({ wins: table, ties: zero(3) }) ?? []
    for (const [i, { value, interval }] of found.entries()) {
      expect(value).toBeCloseTo(truth[i] as number, 4)
      expect(interval[1] - interval[0]).toBeLessThan(0.01)
    }
    expect(found.reduce((sum, { value }) => sum + value, 0)).toBeCloseTo(0, 8)
  })

  it('is finite for a model that never lost, and none where comparisons do not connect', () => {
    const [best] = bradleyTerry(tally(2, [[0, 1, 5]])) ?? []
    expect(best?.value).toBeCloseTo(Math.log(5.5 / 0.5) / 2, 8)
    expect(bradleyTerry(tally(3, [[0, 1, 5]]))).toBeNull()
    expect(
      bradleyTerry(
        tally(3, [
          [0, 1, 5],
          [2, 1, 1],
        ]),
      ),
    ).toHaveLength(3)
  })
})

it('gives every voter an order and sides of their own, always the same', () => {
  const pair = ['evl_a', 'evl_b'] as const
  const places = Array.from({ length: 400 }, (_, place) => place)
  const sides = (voter: string) => places.map((place) => swapped(voter, pair, place))
  const right = sides('ann').filter(Boolean).length
  expect(right).toBeGreaterThan(150)
  expect(right).toBeLessThan(250)
  expect(sides('ann')).toEqual(sides('ann'))
  expect(sides('ann')).not.toEqual(sides('bob'))
  expect(startOf('ann', 1000)).not.toBe(startOf('bob', 1000))
  expect(startOf('ann', 1)).toBe(0)
})
