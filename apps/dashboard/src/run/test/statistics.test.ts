import { describe, expect, it } from 'vitest'
import { toGrid } from '../../charts/heat-map/grid.ts'
import { combined, GAP, sourcesOf, statisticNames, textOf } from '../statistics.ts'

const TASK = 'validation/task_by_t'
const TEACHER = 'validation/teacher_task_by_t'

describe('statistics', () => {
  it('offer the gap only where both sides of it were logged, and nothing of the discriminator', () => {
    const names = statisticNames([TASK, TEACHER, 'mine_by_t', 'discriminator/histogram_real_tap1'])
    expect(names).toEqual([TASK, GAP, TEACHER, 'mine_by_t'])
    expect(statisticNames([TASK])).toEqual([TASK])
  })

  it('make the gap of student less teacher', () => {
    const rows = (values: number[]) => toGrid([{ step: 10, values }])
    const gap = combined(GAP, [rows([3, 2]), rows([1, 5])])
    expect([...(gap?.values ?? [])]).toEqual([2, -3])
    expect(combined(GAP, [rows([3, 2])])).toBe(null)
    expect(sourcesOf(GAP)).toEqual([TASK, TEACHER])
    expect(combined(TASK, [])).toBe(null)
  })

  it('say what healthy looks like, and that nothing is known of the rest', () => {
    expect(textOf(TASK).healthy).toContain('falls')
    expect(textOf('mine_by_t')).toMatchObject({ label: 'mine_by_t', healthy: expect.stringContaining('no') })
  })
})
