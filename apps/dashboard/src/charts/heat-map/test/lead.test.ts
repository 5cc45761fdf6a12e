import { describe, expect, it } from 'vitest'
import { toGrid } from '../grid.ts'
import { leadAreas, leadAt, leadGaps, leadSpans, leadText } from '../lead.ts'

const term = (key: string, ...values: (number | string | null)[]) => ({
  key,
  label: key,
  grid: toGrid([{ step: 100, values }]),
})

describe('leadAt', () => {
  it('shares each bin among the terms', () => {
    const lead = leadAt([term('task', 1, 3, 0), term('kd', 3, 1, 2)], 100)!
    expect(lead.shares).toEqual([
      [0.25, 0.75, 0],
      [0.75, 0.25, 1],
    ])
    expect(lead.reasons).toEqual([null, null, null])
  })

  it('says why a bin has no shares', () => {
    const lead = leadAt([term('task', 1, 0, -1, 1), term('kd', 'NaN', 0, 1, null)], 100)!
    expect(lead.reasons).toEqual(['kd: NaN', 'all weights are zero', 'task: -1', 'kd: missing'])
    expect(lead.shares.flat().every((share) => share === null)).toBe(true)
  })

  it('is null where rows or bins do not fit', () => {
    expect(leadAt([term('task', 1)], 5000)).toBeNull()
    expect(leadAt([term('task', 1), term('kd', 1, 2)], 100)).toBeNull()
    expect(leadAt([], 100)).toBeNull()
  })
})

describe('the spans', () => {
  it('join neighbours with one leader and break where there are no shares', () => {
    const lead = leadAt([term('task', 1, 3, 3, null, 3), term('kd', 3, 1, 1, 1, 1)], 100)!
    const spans = leadSpans(lead)
    expect(spans.map(({ from, to, key }) => [from, to, key])).toEqual([
      [0, 0.2, 'kd'],
      [0.2, 0.6, 'task'],
      [0.8, 1, 'task'],
    ])
    expect(leadText(spans)).toBe('t 0.00–0.20 kd, 0.20–0.60 task, 0.80–1.00 task')
    expect(leadText([])).toBe('no bin has shares')
  })
})

describe('the areas', () => {
  it('stack to the top, one path a term', () => {
    const lead = leadAt([term('task', 1, 3), term('kd', 3, 1)], 100)!
    expect(leadAreas(lead)).toEqual([
      'M0 0.75L0.5 0.75L0.5 0.25L1 0.25L1 1L0.5 1L0.5 1L0 1Z',
      'M0 0L0.5 0L0.5 0L1 0L1 0.25L0.5 0.25L0.5 0.75L0 0.75Z',
    ])
  })

  it('are cut where a bin has no shares', () => {
    const lead = leadAt([term('task', 1, null, 1)], 100)!
    expect(leadAreas(lead)[0]?.match(/M/g)).toHaveLength(2)
    expect(leadGaps(lead)).toBe('M0.33333 0H0.66667V1H0.33333Z')
    expect(leadAreas(leadAt([term('task', null)], 100)!)).toEqual([''])
  })
})
