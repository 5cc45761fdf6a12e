import { describe, expect, it } from 'vitest'
import { alignedRows, differenceText, filteredRows, HELD_OUT, tagsOf } from '../alignment.ts'
import { sheet, tile } from './support.ts'

const circle = tile({ id: 'trained/colors/0000', prompt: 'a red circle' })
const again = tile({ id: 'trained/colors/0000', prompt: 'a red circle', repeat: 1 })
const star = tile({ id: 'held-out/position/0001', prompt: 'a star', tag: 'position', held_out: true })

describe('alignedRows', () => {
  it('lines up by id and repeat, not by place', () => {
    const rows = alignedRows([sheet([circle, again, star]), sheet([star, again, circle])])
    expect(rows.map(({ prompt, repeat, places }) => [prompt, repeat, places])).toEqual([
      ['a red circle', 0, [0, 2]],
      ['a red circle', 1, [1, 1]],
      ['a star', 0, [2, 0]],
    ])
  })

  it('leaves a hole where a sheet is missing or lacks the question, and appends what only later ones have', () => {
    const rows = alignedRows([null, sheet([circle]), sheet([star, circle])])
    expect(rows.map(({ places }) => places)).toEqual([
      [null, 0, 1],
      [null, null, 0],
    ])
  })

  it('never shows two prompts in one row, even under one id', () => {
    const other = tile({ ...circle, prompt: 'a blue circle' })
    const rows = alignedRows([sheet([circle]), sheet([other])])
    expect(rows.map(({ prompt, places }) => [prompt, places])).toEqual([
      ['a red circle', [0, null]],
      ['a blue circle', [null, 0]],
    ])
    expect(new Set(rows.map(({ key }) => key)).size).toBe(2)
  })
})

describe('differenceText', () => {
  const rows = alignedRows([sheet([circle, star]), sheet([circle]), sheet([circle, star]), null])

  it('is silent for a column with every prompt', () => {
    expect(differenceText(rows, 0)).toBeNull()
    expect(differenceText(rows, 2)).toBeNull()
  })

  it('counts the rows without a picture', () => {
    expect(differenceText(rows, 1)).toBe('differs in prompts: 1 of 2 rows have no picture here')
    expect(differenceText(rows, 3)).toBe('has none of these prompts')
  })
})

describe('filteredRows', () => {
  const rows = alignedRows([sheet([circle, again, star])])

  it('finds part of the prompt in any case', () => {
    expect(filteredRows(rows, ' RED ', undefined)).toHaveLength(2)
    expect(filteredRows(rows, 'green', undefined)).toHaveLength(0)
  })

  it('takes a tag, or all held-out prompts', () => {
    expect(tagsOf(rows)).toEqual(['colors', 'position', HELD_OUT])
    expect(filteredRows(rows, '', 'colors')).toHaveLength(2)
    expect(filteredRows(rows, '', HELD_OUT).map(({ prompt }) => prompt)).toEqual(['a star'])
  })
})
