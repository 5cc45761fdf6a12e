import { expect, it } from 'vitest'
import { bytes, duration, table } from '../src/format.ts'

it.each([
  [0.04, '0.0 s'],
  [59.6, '60 s'],
  [61, '1 min 1 s'],
  [7260, '2 h 1 min'],
  [Number.NaN, '?'],
])('a duration of %s s reads %s', (seconds, text) => {
  expect(duration(seconds)).toBe(text)
})

it.each([
  [0, '0 B'],
  [999, '999 B'],
  [1_500_000, '1.5 MB'],
])('%s bytes read %s', (size, text) => {
  expect(bytes(size)).toBe(text)
})

it('a table aligns numbers to the right and shows what is missing', () => {
  expect(
    table(
      ['name', 'score'],
      [
        ['a', 1],
        ['long', null],
      ],
    ),
  ).toBe('name  score\n----  -----\na         1\nlong      -')
})

it('a column of formatted figures is aligned to the right where the table is told so', () => {
  expect(table(['model', 'MACs'], [['a', '9.50 G']], ['MACs'])).toBe(
    'model    MACs\n-----  ------\na      9.50 G',
  )
})
