import { describe, expect, it } from 'vitest'
import { sheet, tile } from '../../samples/test/support.ts'
import { type Difference, pairedDifference, pairing, standing } from '../paired.ts'
import { type Question, questionsOfProtocol, questionsOfSheet } from '../questions.ts'
import { evaluation } from './support.ts'

const questions = (tag: string, prompts: number, images = 1, heldOut = false): Question[] =>
  Array.from({ length: prompts * images }, (_, place) => ({
    tag,
    heldOut,
    prompt: `${tag} ${Math.floor(place / images)}`,
  }))
const repeated = (pattern: readonly boolean[], times: number): boolean[] =>
  Array.from({ length: times }, () => pattern).flat()
const width = ({ interval: [low, high] }: Difference): number => high - low

describe('pairedDifference', () => {
  it('is exactly 0 for the same verdicts, with no width', () => {
    const verdicts = repeated([true, false, true], 20)
    const { overall } = pairedDifference(questions('colors', 60), verdicts, verdicts)
    expect(overall).toMatchObject({ value: 0, interval: [0, 0], gained: 0, lost: 0, images: 60 })
  })

  it('is first less second, and counts what only one has right', () => {
    const first = repeated([true, true, false, true], 10)
    const second = repeated([true, false, true, false], 10)
    const one = pairedDifference(questions('colors', 40), first, second).overall
    expect(one).toMatchObject({ value: 0.25, gained: 20, lost: 10 })
    const other = pairedDifference(questions('colors', 40), second, first).overall
    expect(other.value).toBe(-0.25)
    expect(other.interval[0]).toBeCloseTo(-one.interval[1], 12)
  })

  it('has the width of the normal approximation for many prompts of one image', () => {
    // Differences are +1, -1, 0, 0 in equal parts: variance 0.5, standard error sqrt(0.5 / 400).
    const first = repeated([true, false, true, false], 100)
    const second = repeated([false, true, true, false], 100)
    const { overall } = pairedDifference(questions('colors', 400), first, second)
    expect(width(overall)).toBeCloseTo(2 * 1.96 * Math.sqrt(0.5 / 400), 1)
    expect(width(overall)).toBeGreaterThan(0.12)
  })

  it('resamples prompts with all their images: ten images of one prompt are no ten prompts', () => {
    const first = repeated([...repeated([true], 10), ...repeated([false], 10)], 10)
    const second = repeated([false], 200)
    const together = pairedDifference(questions('colors', 20, 10), first, second).overall
    const apart = pairedDifference(questions('colors', 200), first, second).overall
    expect(together.value).toBe(apart.value)
    expect(width(together) / width(apart)).toBeGreaterThan(2.5)
  })

  it('means over tags, whatever their sizes, and keeps held-out prompts apart', () => {
    const asked = [
      ...questions('colors', 30),
      ...questions('counting', 10),
      ...questions('colors', 8, 1, true),
    ]
    const first = [...repeated([true], 30), ...repeated([false], 10), ...repeated([true, false], 4)]
    const { overall, perTag, heldOut } = pairedDifference(asked, first, repeated([false], 48))
    expect(overall.value).toBe(0.5)
    expect(perTag.get('colors')?.value).toBe(1)
    expect(perTag.get('counting')?.value).toBe(0)
    expect(heldOut).toMatchObject({ value: 0.5, images: 8 })
  })

  it('gives the same interval each time, and for a tag whichever others there are', () => {
    const asked = [...questions('colors', 40), ...questions('counting', 40)]
    const first = repeated([true, false], 40)
    const second = repeated([false, false, true, true], 20)
    const both = pairedDifference(asked, first, second)
    expect(pairedDifference(asked, first, second)).toEqual(both)
    const alone = pairedDifference(asked.slice(0, 40), first.slice(0, 40), second.slice(0, 40))
    expect(alone.perTag.get('colors')).toEqual(both.perTag.get('colors'))
  })

  it('refuses verdicts of another number of pictures', () => {
    expect(() => pairedDifference(questions('colors', 3), [true, true], [true, true, true])).toThrow(
      /3 pictures, 2 and 3 verdicts/,
    )
    expect(() => pairedDifference([], [], [])).toThrow(RangeError)
  })

  it('pauses in long work', () => {
    const verdicts = repeated([true, false], 500)
    const steps = pairing(questions('colors', 1000), verdicts, verdicts)
    let pauses = 0
    while (!steps.next().done) pauses++
    expect(pauses).toBeGreaterThan(10)
  })
})

it('tells two apart only by an interval that leaves 0 out', () => {
  const of = (low: number, high: number) =>
    standing({ value: 0, interval: [low, high], images: 1, gained: 0, lost: 0 })
  expect([of(0.01, 0.2), of(-0.2, -0.01), of(0, 0.2), of(-0.2, 0), of(-0.1, 0.1)]).toEqual([
    'better',
    'worse',
    'not told apart',
    'not told apart',
    'not told apart',
  ])
})

describe('questions', () => {
  it('of a protocol are as many as its verdicts, held-out ones last', () => {
    const { protocol } = evaluation({
      protocol: { prompts_per_tag: 50, held_out_per_tag: 20, images_per_prompt: 2 },
    })
    const found = questionsOfProtocol(protocol)
    expect(found).toHaveLength(720)
    expect(found.findIndex(({ heldOut }) => heldOut)).toBe(600)
    expect(new Set(found.slice(0, 100).map(({ tag }) => tag))).toEqual(new Set(['single_object']))
    expect(found[2]?.prompt).not.toBe(found[1]?.prompt)
    expect(found[1]?.prompt).toBe(found[0]?.prompt)
    expect(found.at(-1)).toMatchObject({ tag: 'color_attr', heldOut: true })
  })

  it('of a sheet know equal prompts', () => {
    const found = questionsOfSheet(sheet([tile(), tile({ id: 'trained/colors/0007', repeat: 1 })]))
    expect(found[0]).toEqual(found[1])
  })
})
