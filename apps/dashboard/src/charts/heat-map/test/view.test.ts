import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { columnAt, columnEdges, domainOf, inDomain, panned, revealing } from '../view.ts'

describe('columnEdges', () => {
  it('meet half-way between uneven steps', () => {
    const { left, right } = columnEdges([0, 10, 30, 60])
    expect([...left]).toEqual([-5, 5, 20, 45])
    expect([...right]).toEqual([5, 20, 45, 75])
  })

  it('end at a hole where they would without it', () => {
    const { left, right, holes } = columnEdges([0, 10, 20, 1000, 1010, 1020])
    expect(holes).toBe(1)
    expect(right[2]).toBe(25)
    expect(left[3]).toBe(995)
  })

  it('take a rarer logging for what it is, not for a hole', () => {
    const { right, left } = columnEdges([0, 10, 20, 30, 1030, 2030, 3030])
    expect(right[3]).toBe(530)
    expect(left[4]).toBe(530)
  })

  it('are a step wide for a lone column', () => {
    expect(columnEdges([7])).toEqual({ left: Float64Array.of(6.5), right: Float64Array.of(7.5), holes: 0 })
    expect(columnEdges([]).left).toHaveLength(0)
  })

  it('hold their own step and never overlap', () => {
    const steps = fc
      .uniqueArray(fc.nat(100_000), { minLength: 1, maxLength: 60 })
      .map((all) => all.sort((a, b) => a - b))
    fc.assert(
      fc.property(steps, (given) => {
        const edges = columnEdges(given)
        for (const [index, step] of given.entries()) {
          expect(columnAt(given, edges, step)).toBe(index)
          if (index > 0) expect(edges.left[index]!).toBeGreaterThanOrEqual(edges.right[index - 1]!)
        }
      }),
    )
  })
})

it('finds no column in a hole or beyond the ends', () => {
  const steps = [0, 10, 20, 1000, 1010, 1020]
  const edges = columnEdges(steps)
  expect([-6, -4, 14, 16, 25, 26, 500, 994, 996, 1026].map((step) => columnAt(steps, edges, step))).toEqual([
    null,
    0,
    1,
    2,
    2,
    null,
    null,
    null,
    3,
    null,
  ])
})

it('tells which columns are in view', () => {
  const edges = columnEdges([100, 200, 300])
  const inView = (from: number, to: number) =>
    [0, 1, 2, 3].map((column) => inDomain(edges, { from, to }, column))
  expect(inView(160, 240)).toEqual([false, true, false, false])
  expect(inView(140, 260)).toEqual([true, true, true, false])
})

describe('domainOf', () => {
  const steps = [100, 200, 300]
  const edges = columnEdges(steps)

  it('shows whole columns at the ends, and a window as it is between them', () => {
    expect(domainOf(steps, edges, null)).toEqual({ from: 50, to: 350 })
    expect(domainOf(steps, edges, { from: 120, to: 210 })).toEqual({ from: 120, to: 210 })
    expect(domainOf(steps, edges, { from: 100, to: 210 })).toEqual({ from: 50, to: 210 })
    expect(domainOf(steps, edges, { from: 250, to: 300 })).toEqual({ from: 250, to: 350 })
  })

  it('is never empty, and everything for a window elsewhere', () => {
    expect(domainOf(steps, edges, { from: 210, to: 210 })).toEqual({ from: 209.5, to: 210.5 })
    expect(domainOf(steps, edges, { from: 5000, to: 6000 })).toEqual({ from: 50, to: 350 })
    const nothing = domainOf([], columnEdges([]), null)
    expect(nothing.to).toBeGreaterThan(nothing.from)
  })
})

it('pans at the same width, as far as the ends', () => {
  const extent = { from: 0, to: 1000 }
  expect(panned({ from: 100, to: 200 }, extent, 30.4)).toEqual({ from: 130, to: 230 })
  expect(panned({ from: 100, to: 200 }, extent, -500)).toEqual({ from: 0, to: 100 })
  expect(panned({ from: 100, to: 200 }, extent, 5000)).toEqual({ from: 900, to: 1000 })
  expect(panned(null, extent, 10)).toBeNull()
})

it('reveals a step by the shortest way', () => {
  const window = { from: 100, to: 200 }
  expect(revealing(window, 150)).toBe(window)
  expect(revealing(window, 90)).toEqual({ from: 90, to: 190 })
  expect(revealing(window, 230)).toEqual({ from: 130, to: 230 })
  expect(revealing(null, 5)).toBeNull()
})
