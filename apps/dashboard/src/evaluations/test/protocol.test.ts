import { describe, expect, it } from 'vitest'
import { firstResults, groupByProtocol, protocolParts, questionsKey } from '../protocol.ts'
import { evaluation } from './support.ts'

describe('groupByProtocol', () => {
  it('never mixes hashes, even where titles agree, and starts with the most steps', () => {
    const few = { protocol_hash: 'b'.repeat(64), protocol: { steps: 4 } }
    const groups = groupByProtocol([
      evaluation({ id: 'few', ...few }),
      evaluation({ id: 'one', protocol_hash: 'd'.repeat(64) }),
      evaluation({ id: 'two', protocol_hash: 'c'.repeat(64) }),
      evaluation({ id: 'few again', ...few }),
    ])
    expect(groups.map(({ results }) => results.map(({ id }) => id as string))).toEqual([
      ['two'],
      ['one'],
      ['few', 'few again'],
    ])
  })

  it('has tags in the order of the benchmark, whatever the order of the keys', () => {
    const score = { score: 0.5, images: 2, interval: [0, 1] as [number, number] }
    const [group] = groupByProtocol([
      evaluation({ per_tag: { shapes: score, color_attr: score, colors: score } }),
      evaluation({ per_tag: { single_object: score } }),
    ])
    expect(group?.tags).toEqual(['single_object', 'colors', 'color_attr', 'shapes'])
  })
})

it('spells out what decides the number', () => {
  const parts = protocolParts(evaluation({ protocol: { steps: 1, guidance_scale: 1, grid: [1] } }).protocol)
  for (const part of ['flow-euler, 1 step', 'grid 1', 'guidance 1 (one forward a step)', 'seed 1'])
    expect(parts).toContain(part)
})

describe('questionsKey', () => {
  it('is the same for other steps and guidance: their pictures can be compared', () => {
    expect(questionsKey(evaluation({ protocol: { steps: 4, guidance_scale: 1, grid: [1, 0.75] } }))).toBe(
      questionsKey(evaluation()),
    )
  })

  it('differs with whatever draws prompts or noise', () => {
    for (const protocol of [
      { seed: 2 },
      { prompts_per_tag: 51 },
      { held_out_per_tag: 0 },
      { images_per_prompt: 2 },
    ])
      expect(questionsKey(evaluation({ protocol })), JSON.stringify(protocol)).not.toBe(
        questionsKey(evaluation()),
      )
  })
})

it('shows the first results, and the chosen ones wherever they stand', () => {
  const results = ['a', 'b', 'c', 'd'].map((id) => evaluation({ id }))
  expect(firstResults(results, 2, ['d', undefined]).map(({ id }) => id as string)).toEqual(['a', 'b', 'd'])
})
