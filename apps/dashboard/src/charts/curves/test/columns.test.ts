import { describe, expect, it } from 'vitest'
import type { Column } from '../align.ts'
import { axisScale } from '../axis-scale.ts'
import { toColumns } from '../columns.ts'
import { chartModel } from '../model.ts'
import { toCurve } from '../series.ts'
import type { CurveSeries } from '../types.ts'
import { bucket, series } from './points.ts'

const linear = axisScale('linear')
const columnsOf = (list: CurveSeries[], scale = linear) =>
  toColumns(
    list.map((one) => toCurve(one, 'step', 0)),
    scale,
  )

describe('columns of one series', () => {
  it('are the range and the last value', () => {
    const buckets = [bucket(1, 2, { min: 1, max: 3, count: 9 }), bucket(2, 2.5)]
    expect(columnsOf([series(buckets)]).data).toEqual([
      [1, 2],
      [1, 2.5],
      [3, 2.5],
      [2, 2.5],
    ])
  })

  it('keep the range of a bucket whose last value is not finite', () => {
    const { data } = columnsOf([
      series([bucket(1, 2), bucket(2, 'NaN', { min: 1, max: 4, count: 5 }), bucket(3, 2)]),
    ])
    expect(data.slice(1)).toEqual([
      [2, 1, 2],
      [2, 4, 2],
      [2, null, 2],
    ])
  })

  it.each(['NaN', 'Infinity', '-Infinity'] as const)('hold nothing but gaps if all is %s', (value) => {
    const { data, isolated, joins } = columnsOf([series([bucket(1, value), bucket(2, value, { epoch: 2 })])])
    expect(data[0]).toEqual([1, 1.5, 2])
    for (const column of data.slice(1)) expect(column).toEqual([null, null, null])
    expect(isolated.flat()).toEqual([])
    expect(joins).toEqual([])
  })

  it('are empty for an empty series', () => {
    expect(columnsOf([series([])]).data).toEqual([[], [], [], []])
    expect(columnsOf([]).data).toEqual([[]])
  })

  it('of a single point name it as isolated: a line would not show it', () => {
    const { data, isolated } = columnsOf([series([bucket(7, 0.5)])])
    expect(data).toEqual([[7], [0.5], [0.5], [0.5]])
    expect(isolated[2]).toEqual([0])
  })

  it('name a point between two gaps as isolated, and no other', () => {
    const values = ['NaN', 3, 'NaN', 1, 2] as const
    const { isolated } = columnsOf([series(values.map((value, index) => bucket(index, value)))])
    expect(isolated[2]).toEqual([1])
  })
})

describe('columns of several series', () => {
  const a = series([bucket(10, 1), bucket(20, 'NaN'), bucket(30, 3)], { key: 'a' })
  const b = series([bucket(15, 5), bucket(20, 6), bucket(25, 7)], { key: 'b' })

  it('share x, go on over the x of others, and widen gaps to them', () => {
    const { data } = columnsOf([a, b])
    expect(data[0]).toEqual([10, 15, 20, 25, 30])
    expect(data[3]).toEqual([1, null, null, null, 3] satisfies Column)
    expect(data[6]).toEqual([undefined, 5, 6, 7, undefined])
  })

  it('share no row between two buckets of one series, however close they are', () => {
    const close = series([bucket(0, 1), bucket(50_000, 2), bucket(50_001, 3), bucket(100_000, 4)], {
      key: 'close',
    })
    const { data } = columnsOf([close, series([bucket(49_999, 9)], { key: 'other' })])
    expect(data[3]?.filter((value) => value !== undefined)).toEqual([1, 2, 3, 4])
  })

  it('hold each of 20 series of 1,200 buckets whole', () => {
    const many = Array.from({ length: 20 }, (_, run) =>
      series(
        Array.from({ length: 1200 }, (_, index) => bucket(index * 70 + run, index + run)),
        { key: `run-${run}` },
      ),
    )
    const { data } = columnsOf(many)
    expect(data[0].length).toBeLessThan(4200)
    for (let run = 0; run < 20; run++) {
      const column = data[3 + run * 3] as Column
      for (const [index, row] of column.flatMap((value, at) => (value === undefined ? [] : [at])).entries()) {
        const shift = (many[run]?.points.buckets[index]?.step ?? 0) - (data[0][row] ?? 0)
        expect(shift).toBeGreaterThanOrEqual(0)
        expect(shift).toBeLessThan(84_000 / 4096)
      }
      expect(column.filter((value) => value !== undefined)).toEqual(
        many[run]?.points.buckets.map(({ last }) => last),
      )
    }
  })
})

describe('columns on a log scale', () => {
  const log = axisScale('log10')

  it('turn what is at or below zero into marks at the edge', () => {
    const { data, edges } = columnsOf(
      [series([bucket(1, 10), bucket(2, 0), bucket(3, -4), bucket(4, 100)])],
      log,
    )
    expect(data[3]).toEqual([1, null, null, 2])
    expect(edges).toEqual([{ key: 'loss/task', x: [2, 3] }])
  })

  it('mark a bucket whose range reaches zero though its last value does not, and draw its range down to the floor', () => {
    const { data, edges } = columnsOf(
      [series([bucket(1, 10), bucket(2, 10, { min: -1, max: 100, count: 3 })])],
      log,
    )
    expect(edges[0]?.x).toEqual([2])
    expect(data[2]?.[1]).toBe(2)
    expect(data[1]?.[1]).toBeLessThan(1)
  })

  it('have no marks on other scales', () => {
    expect(columnsOf([series([bucket(1, -1), bucket(2, 0)])]).edges[0]?.x).toEqual([])
  })
})

describe('the model', () => {
  it('puts an expected band behind, at the first series’ steps', () => {
    const band = { label: 'reference', range: [1, 2].map((step) => ({ step, low: step, high: step * 2 })) }
    const { columns } = chartModel([series([bucket(1, 1), bucket(2, 2)], { batchSize: 10 })], {
      axis: 'images',
      scale: 'linear',
      smoothing: 0,
      band,
    })
    expect(columns.data[0]).toEqual([10, 20])
    expect(columns.data.slice(-2)).toEqual([
      [1, 2],
      [2, 4],
    ])
  })

  it('knows that there is nothing to draw: all NaN, or all at or below zero on a log scale', () => {
    const of = (list: CurveSeries, scale: 'linear' | 'log2') =>
      chartModel([list], { axis: 'step', scale, smoothing: 0, band: null }).drawable
    expect(of(series([bucket(1, 'NaN')]), 'linear')).toBe(false)
    expect(of(series([bucket(1, -1)]), 'log2')).toBe(false)
    expect(of(series([bucket(1, -1)]), 'linear')).toBe(true)
  })

  it('of nothing has no extent', () => {
    const options = { axis: 'step', scale: 'symlog', smoothing: 5, band: null } as const
    expect(chartModel([series([])], options)).toMatchObject({ extent: null, steps: [], unplaced: 0 })
  })
})
