import { describe, expect, it } from 'vitest'
import { applyMapKey, type KeyState } from '../apply-key.ts'
import { mapKey } from '../keys.ts'

const state: KeyState = {
  grid: { steps: [0, 100, 200, 300], bins: 4 },
  place: { column: 1, bin: 2 },
  cursor: null,
  window: null,
  extent: { from: 0, to: 300 },
  marks: [],
}
const press = (key: string, change: Partial<KeyState> = {}, shiftKey = false) => {
  const found = mapKey({ key, shiftKey, ctrlKey: false, altKey: false, metaKey: false })
  return found === null ? null : applyMapKey(found, { ...state, ...change })
}

describe('keys of the heat map', () => {
  it('move over the cells, as far as the edges', () => {
    expect(press('ArrowRight')?.place).toEqual({ column: 2, bin: 2 })
    expect(press('ArrowUp')?.place).toEqual({ column: 1, bin: 3 })
    expect(press('ArrowDown', {}, true)?.place).toEqual({ column: 1, bin: 0 })
    expect(press('ArrowLeft', {}, true)?.place).toEqual({ column: 0, bin: 2 })
    expect(press('Home')?.place?.column).toBe(0)
    expect(press('End')?.place?.column).toBe(3)
  })

  it('bring up the cursor where the linked one is, else at the last step', () => {
    expect(press('ArrowRight', { place: null, cursor: 90 })?.place).toEqual({ column: 1, bin: 2 })
    expect(press('ArrowRight', { place: null })?.place?.column).toBe(3)
  })

  it('move the window only to show the cell', () => {
    const window = { from: 50, to: 150 }
    expect(press('ArrowUp', { window })).toEqual({ place: { column: 1, bin: 3 } })
    expect(press('ArrowRight', { window })?.window).toEqual({ from: 100, to: 200 })
  })

  it('pick, zoom around the cell, reset and leave', () => {
    expect(press('Enter')?.picked).toEqual({ column: 1, bin: 2 })
    expect(press('+')?.window).toEqual({ from: 50, to: 200 })
    expect(press('0', { window: { from: 1, to: 2 } })?.window).toBeNull()
    expect(press('Escape')?.place).toBeNull()
  })

  it('go from event to event, and to the bin of one', () => {
    const marks = [10, 290].map((step, index) => ({
      mark: { step, bin: index, kind: 'clamp' as const, text: '' },
      column: index * 3,
    }))
    expect(press('n', { marks })?.place).toEqual({ column: 3, bin: 1 })
    expect(press('N', { marks }, true)?.place).toEqual({ column: 0, bin: 0 })
    expect(press('n', { marks, place: { column: 3, bin: 1 } })).toEqual({})
  })

  it('leave the browser its own, and do nothing without a row', () => {
    const held = { key: '+', shiftKey: false, altKey: false, metaKey: false }
    expect(mapKey({ ...held, ctrlKey: true })).toBeNull()
    expect(press('x')).toBeNull()
    expect(press('ArrowRight', { grid: { steps: [], bins: 0 }, place: null })).toEqual({})
  })
})
