import { describe, expect, it } from 'vitest'
import { foreignVerdicts, sheetSize, tileStyle, tileText, wholeEdge } from '../sheet.ts'
import { sheet, tile } from './support.ts'

describe('tileStyle', () => {
  const eight = sheet(
    Array.from({ length: 8 }, () => tile()),
    3,
  )

  it('cuts the place out by whole multiples of the width', () => {
    expect(tileStyle(eight, 0, 128)).toMatchObject({
      backgroundPosition: '0px 0px',
      backgroundSize: '384px 384px',
    })
    expect(tileStyle(eight, 5, 128)).toMatchObject({ backgroundPosition: '-256px -128px' })
    expect(tileStyle(eight, 7, 128)).toMatchObject({ backgroundPosition: '-128px -256px' })
  })

  it('keeps the shape of a tile that is not square', () => {
    expect(tileStyle({ ...eight, tile: [64, 32] }, 3, 128)).toMatchObject({
      height: 64,
      backgroundPosition: '0px -64px',
    })
  })

  it('shows pixels as squares only where it enlarges', () => {
    expect(tileStyle(eight, 0, 128).imageRendering).toBe('pixelated')
    expect(tileStyle(eight, 0, 64).imageRendering).toBe('auto')
    expect(tileStyle(eight, 0, 48).imageRendering).toBe('auto')
  })
})

it('describes the size of the whole picture, with an unfinished last row', () => {
  expect(sheetSize(sheet([tile(), tile(), tile(), tile()], 3))).toEqual({ width: 192, height: 128 })
})

it('takes the largest whole multiple that fits, and shrinks what does not', () => {
  expect(wholeEdge(64, 191)).toBe(128)
  expect(wholeEdge(64, 192)).toBe(192)
  expect(wholeEdge(1024, 420)).toBe(420)
})

describe('foreignVerdicts', () => {
  const three = sheet([tile(), tile({ correct: false }), tile()])

  it('is 0 for the evaluation of the sheet', () => {
    expect(foreignVerdicts(three, [true, false, true])).toBe(0)
  })

  it('counts places that differ, and those that one of the two lacks', () => {
    expect(foreignVerdicts(three, [true, true, true])).toBe(1)
    expect(foreignVerdicts(three, [true, false])).toBe(1)
    expect(foreignVerdicts(three, [true, false, true, false])).toBe(1)
  })
})

it('says the verdict and each reason in words', () => {
  expect(tileText(tile())).toBe('“a red circle”, sample 0: correct')
  expect(
    tileText(tile({ correct: false, reason: 'expected 1 circle, found 0\nno target for star to be above' })),
  ).toBe('“a red circle”, sample 0: wrong: expected 1 circle, found 0; no target for star to be above')
})
