import { describe, expect, it } from 'vitest'
import { clampWindow, parseWindow, pointsText, printWindow, zoomAround } from '../window.ts'
import { bucket, points } from './points.ts'

describe('the window in the URL', () => {
  it('comes back as it was', () => {
    const window = { from: 1000, to: 84_000 }
    expect(parseWindow(printWindow(window))).toEqual(window)
    expect(printWindow(null)).toBeUndefined()
    expect(parseWindow('5-5')).toEqual({ from: 5, to: 5 })
  })

  it.each([
    null,
    undefined,
    '',
    '-',
    '5',
    '5-',
    '-5',
    '9-5',
    '1.5-9',
    '1e3-2e3',
    '1-2-3',
    ' 1-2',
    'a-b',
    '0-1000000001',
    '0-99999999999',
  ])('is the fallback for %j', (text) => {
    expect(parseWindow(text)).toBeNull()
    expect(parseWindow(text, { from: 1, to: 2 })).toEqual({ from: 1, to: 2 })
  })
})

describe('clampWindow', () => {
  const extent = { from: 100, to: 200 }

  it('keeps whole steps inside the extent', () => {
    expect(clampWindow({ from: 120.4, to: 150.2 }, extent)).toEqual({ from: 120, to: 151 })
    expect(clampWindow({ from: 50, to: 150 }, extent)).toEqual({ from: 100, to: 150 })
    expect(clampWindow({ from: 180, to: 160 }, extent)).toEqual({ from: 160, to: 180 })
  })

  it('is null for everything and for nothing', () => {
    expect(clampWindow({ from: 0, to: 300 }, extent)).toBeNull()
    expect(clampWindow({ from: 300, to: 400 }, extent)).toBeNull()
    expect(clampWindow({ from: Number.NaN, to: 150 }, extent)).toBeNull()
  })
})

describe('zoomAround', () => {
  const extent = { from: 0, to: 1000 }

  it('keeps the centre in place', () => {
    expect(zoomAround(null, extent, 200, 0.5)).toEqual({ from: 100, to: 600 })
    expect(zoomAround({ from: 100, to: 600 }, extent, 200, 2)).toBeNull()
    expect(zoomAround({ from: 400, to: 500 }, extent, 450, 2)).toEqual({ from: 350, to: 550 })
  })

  it('ends at a single step', () => {
    const narrow = { from: 10, to: 11 }
    expect(zoomAround(narrow, extent, 10, 0.5)).toEqual(narrow)
  })
})

it('says how many points stand behind the buckets', () => {
  const data = points(Array.from({ length: 1200 }, (_, index) => bucket(index, 1, { count: 70 })))
  expect(pointsText([data])).toBe('1,200 of 84,000 points')
  expect(pointsText([data, data])).toBe('2,400 of 168,000 points')
  expect(pointsText([points([bucket(1, 1)])])).toBe('1 of 1 point')
  expect(pointsText([points([])])).toBe('0 of 0 points')
})
