import { GENEVAL_TASKS, PublishedList } from '@limbeck/contracts'
import { expect, it } from 'vitest'
import { publishedModels } from '../src/index.ts'

it('holds published rows that agree with themselves', () => {
  const { models } = PublishedList.parse({ models: publishedModels })
  expect(new Set(models.map(({ model }) => model)).size).toBe(models.length)
  for (const { model, geneval } of models) {
    if (!geneval.tasks) continue
    const { tasks } = geneval
    const mean = GENEVAL_TASKS.reduce((sum, task) => sum + (tasks[task] ?? Number.NaN), 0) / 6
    // Printed with two digits, each of the six and the mean.
    expect(Math.abs(mean - geneval.overall), model).toBeLessThan(0.011)
  }
})
