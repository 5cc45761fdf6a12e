import { describe, expect, it } from 'vitest'
import { sheet, tile } from '../../samples/test/support.ts'
import { countKinds, limited, type TileFilter, tilesByTask } from '../failing.ts'
import { reasonKinds } from '../reasons.ts'

const wrong = (reason: string, part = {}) => tile({ correct: false, reason, ...part })
const all = sheet([
  tile({ prompt: 'a red circle' }),
  wrong('expected 1 red circle, found 0 (colours: blue)', { prompt: 'a red circle' }),
  wrong('expected 1 star, found 0\nno target for circle to be above', {
    prompt: 'a circle above a star',
    tag: 'position',
  }),
  wrong('expected 1 red circle, found 0 (colours: None)', { held_out: true }),
])
const none: TileFilter = { text: '', tag: null, kind: null, correct: false }
const places = (filter: Partial<TileFilter>): number[] =>
  tilesByTask(all, { ...none, ...filter }).flatMap(({ tiles }) => tiles.map(({ place }) => place))

describe('reasonKinds', () => {
  it('knows every sentence of the scorer', () => {
    const kinds = {
      'expected 1 triangle, found 0': 'missing',
      'expected 2 red circle, found 1 (colours: red, blue)': 'wrong colour',
      'expected circle left of target, found right of and above': 'wrong position',
      'expected circle above target, found neither side': 'wrong position',
      'no target for star to be below': 'wrong position',
      'expected fewer than 3 star, found 4': 'too many',
      'something new': 'other',
    }
    for (const [reason, kind] of Object.entries(kinds)) expect(reasonKinds(reason), reason).toEqual([kind])
  })

  it('has each kind of a picture once, and none for a correct one', () => {
    expect(
      reasonKinds('expected 1 a, found 0\nexpected 1 b, found 0\nexpected fewer than 3 c, found 4'),
    ).toEqual(['missing', 'too many'])
    expect(reasonKinds('')).toEqual([])
  })
})

describe('tilesByTask', () => {
  it('shows what failed, or the correct ones too, with held-out prompts as a task of their own', () => {
    expect(places({})).toEqual([1, 2, 3])
    expect(places({ correct: true }).toSorted()).toEqual([0, 1, 2, 3])
    expect(tilesByTask(all, none).map(({ tag, heldOut }) => [tag, heldOut])).toEqual([
      ['colors', false],
      ['position', false],
      ['colors', true],
    ])
  })

  it('filters by tag, kind and text of prompt or reason', () => {
    expect(places({ tag: 'position' })).toEqual([2])
    expect(places({ kind: 'wrong colour' })).toEqual([1, 3])
    expect(places({ text: 'ABOVE a' })).toEqual([2])
    expect(places({ text: 'colours: blue' })).toEqual([1])
    expect(places({ text: 'above', tag: 'colors' })).toEqual([])
  })

  it('counts a task over all its pictures, whatever is filtered', () => {
    expect(tilesByTask(all, { ...none, text: 'blue' })).toMatchObject([{ images: 2, failed: 1 }])
  })
})

it('counts a picture under each of its kinds', () => {
  expect(countKinds(all, null)).toEqual([
    ['missing', 1],
    ['wrong colour', 2],
    ['wrong position', 1],
  ])
  expect(countKinds(all, 'colors')).toEqual([['wrong colour', 2]])
})

it('limits over all tasks and leaves empty ones out', () => {
  const tasks = limited(tilesByTask(all, none), 2)
  expect(tasks.map(({ tiles }) => tiles.length)).toEqual([1, 1])
  expect(limited(tilesByTask(all, none), 99).flatMap(({ tiles }) => tiles)).toHaveLength(3)
})
