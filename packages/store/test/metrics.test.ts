import fc from 'fast-check'
import { expect, it } from 'vitest'
import {
  appendLogs,
  claimStage,
  failStage,
  ingestMetrics,
  listSeries,
  queryArrays,
  querySeries,
  readLogs,
} from '../src/index.ts'
import { addWorker, claimId, planOf, submit, testProject, testStore, unwrap } from './support/stores.ts'

const store = await testStore()

async function leased() {
  const project = await testProject(store)
  const run = (await submit(store, project, planOf({ a: [] }))).id
  const worker = await addWorker(store, project)
  const claim = async () => unwrap(await claimStage(store, { project, worker, claim: claimId() }))!
  const { stage } = await claim()
  return { project, run, worker, stage, claim }
}

it('takes a batch once, and tells the second time what it said the first', async () => {
  const { worker, stage, project } = await leased()
  const batch = {
    ...{ epoch: 1, sequence: 0 },
    scalars: [{ name: 'loss/task', steps: [1, 2, 2], values: [0.5, 0.4, 0.3] }],
    arrays: [{ name: 'task_by_t', step: 2, values: [1, null, 'NaN' as const] }],
  }
  expect(unwrap(await ingestMetrics(store, worker, stage, batch))).toEqual({
    accepted: 3,
    superseded: 0,
    duplicate: false,
  })
  const repeats = await Promise.all(
    Array.from({ length: 3 }, () => ingestMetrics(store, worker, stage, batch)),
  )
  expect(repeats.map(unwrap)).toEqual(Array(3).fill({ accepted: 3, superseded: 0, duplicate: true }))
  const points = unwrap(await querySeries(store, project, { stage, name: 'loss/task', max_points: 10 }))
  expect(points.buckets.map(({ step, last }) => [step, last])).toEqual([
    [1, 0.5],
    [2, 0.3],
  ])
  expect(
    unwrap(await queryArrays(store, project, { stage, name: 'task_by_t', max_points: 10 })).rows,
  ).toEqual([{ step: 2, values: [1, null, 'NaN'] }])
})

it('stores and shows NaN and infinity', async () => {
  const { worker, stage, project, run } = await leased()
  const values = [1, 'NaN' as const, 'Infinity' as const, -3, '-Infinity' as const]
  const scalars = [{ name: 'loss', steps: [1, 2, 3, 4, 5], values }]
  unwrap(await ingestMetrics(store, worker, stage, { epoch: 1, sequence: 0, scalars, arrays: [] }))
  const fine = unwrap(await querySeries(store, project, { stage, name: 'loss', max_points: 5 }))
  expect(fine.buckets.map(({ last, non_finite }) => [last, non_finite])).toEqual([
    [1, 0],
    ['NaN', 1],
    ['Infinity', 1],
    [-3, 0],
    ['-Infinity', 1],
  ])
  const coarse = unwrap(await querySeries(store, project, { stage, name: 'loss', max_points: 2 }))
  expect(coarse.total_points).toBe(5)
  expect(coarse.buckets[0]).toMatchObject({
    step: 3,
    min: 1,
    max: 1,
    last: 'Infinity',
    count: 3,
    non_finite: 2,
  })
  expect(unwrap(await listSeries(store, project, run)).series).toMatchObject([
    { name: 'loss', last_step: 5, last_value: '-Infinity' },
  ])
})

it('lets the newest attempt win per step after a resume, and counts what an old one says too late', async () => {
  const { worker, stage, project, claim } = await leased()
  const send = (epoch: number, sequence: number, steps: number[], value: number) =>
    ingestMetrics(store, worker, stage, {
      ...{ epoch, sequence, arrays: [] },
      scalars: [{ name: 'loss', steps, values: steps.map(() => value) }],
    })
  unwrap(await send(1, 0, [1, 2, 3, 4], 1))
  const fence = { worker, stage, epoch: 1 }
  unwrap(await failStage(store, fence, { reason: 'error', message: 'x', last_log_lines: [] }))
  await claim()
  expect(unwrap(await send(2, 0, [3, 4, 5], 2))).toMatchObject({ accepted: 3, superseded: 0 })
  expect(unwrap(await send(1, 1, [4, 5, 6], 1))).toMatchObject({ accepted: 1, superseded: 2 })
  const { buckets } = unwrap(await querySeries(store, project, { stage, name: 'loss', max_points: 100 }))
  expect(buckets.map(({ step, epoch }) => [step, epoch])).toEqual([
    [1, 1],
    [2, 1],
    [3, 2],
    [4, 2],
    [5, 2],
    [6, 1],
  ])
})

it('names the batch’s series where a stage would have too many, and keeps nothing of it', async () => {
  const { worker, stage, run, project } = await leased()
  const send = (sequence: number, from: number) =>
    ingestMetrics(store, worker, stage, {
      ...{ epoch: 1, sequence, arrays: [] },
      scalars: Array.from({ length: 500 }, (_, index) => ({
        name: `s${from + index}`,
        steps: [1],
        values: [0],
      })),
    })
  for (let sequence = 0; sequence < 4; sequence++) unwrap(await send(sequence, sequence * 500))
  expect(await send(4, 2000)).toMatchObject({
    error: { code: 'invalid_request', detail: expect.stringMatching(/2500 series, at most 2000.*s2\d\d\d/) },
  })
  expect(unwrap(await listSeries(store, project, run)).series).toHaveLength(2000)
  expect(
    await ingestMetrics(store, worker, stage, {
      ...{ epoch: 1, sequence: 9, arrays: [] },
      scalars: [{ name: 'a', steps: [1, 2], values: [0] }],
    }),
  ).toMatchObject({
    error: { code: 'invalid_request', detail: expect.stringContaining('2 steps and 1 values') },
  })
})

it('buckets lose no point and no extreme', async () => {
  const { worker, stage, project } = await leased()
  let sequence = 0
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.nat(5000), { minLength: 1, maxLength: 300 }),
      fc.integer({ min: 2, max: 50 }),
      async (steps, max_points) => {
        const name = `series${sequence}`
        const values = steps.map((step) => Math.sin(step) * step)
        const scalars = [{ name, steps, values }]
        unwrap(
          await ingestMetrics(store, worker, stage, {
            ...{ epoch: 1, sequence: sequence++, scalars, arrays: [] },
          }),
        )
        const { buckets, total_points } = unwrap(
          await querySeries(store, project, { stage, name, max_points }),
        )
        expect(total_points).toBe(steps.length)
        expect(buckets.length).toBeLessThanOrEqual(max_points)
        expect(Math.max(...buckets.map(({ max }) => Number(max)))).toBe(Math.max(...values))
        expect(Math.min(...buckets.map(({ min }) => Number(min)))).toBe(Math.min(...values))
        expect(buckets.at(-1)?.step).toBe(Math.max(...steps))
      },
    ),
    { numRuns: 20 },
  )
})

it('numbers log lines of all attempts without gaps, and takes a batch once', async () => {
  const { worker, stage, project } = await leased()
  const line = (text: string) => ({ time: '2026-01-02T03:04:05.678Z', stream: 'stdout' as const, text })
  const send = (sequence: number, ...texts: string[]) =>
    appendLogs(store, worker, stage, { epoch: 1, sequence, lines: texts.map(line) })
  await Promise.all([send(0, 'a', 'b'), send(0, 'a', 'b'), send(1, 'c\0d'), send(2)])
  const page = unwrap(await readLogs(store, project, stage, 0, 100))
  expect(page.lines.map(({ number }) => number)).toEqual([0, 1, 2])
  expect(page.lines.map(({ text }) => text).sort()).toEqual(['a', 'b', 'c␀d'])
  expect(page.lines[0]).toMatchObject({ time: '2026-01-02T03:04:05.678Z', epoch: 1, stream: 'stdout' })
  expect(page.next).toBe(3)
  expect(unwrap(await readLogs(store, project, stage, 3, 100))).toMatchObject({ lines: [], next: 3 })
})
