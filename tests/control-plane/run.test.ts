import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Plane, showLogOnFailure, startPlane } from './support/plane.ts'
import { ended, render, runUntil, submission, submit, trivialRecipe } from './support/runs.ts'
import { TestWorker } from './support/worker.ts'

let plane: Plane
let worker: TestWorker
beforeAll(async () => {
  plane = await startPlane({ timing: { lease_seconds: 3, backoff_base_seconds: 0.05 } })
  worker = await TestWorker.register(plane.as('worker'), 'w1')
})

beforeEach(() => showLogOnFailure(plane))

const user = () => plane.as('submitter')

describe('a run', () => {
  it('goes from REST to a verified output through a worker', async () => {
    const created = await user().post('/v1/runs', submission({ label: 'first' }))
    expect(created.status).toBe(201)
    expect(created.headers.get('location')).toBe(`/v1/runs/${created.body.id}`)
    const lease = await worker.mustClaim()
    expect(lease).toMatchObject({ run: created.body.id, name: 'render', epoch: 1, inputs: {}, resume: null })

    const progress = { step: 5, total: 10, images_per_second: 3.5, loss: null }
    expect((await worker.heartbeat(lease, 0, progress)).body).toMatchObject({ action: 'continue' })
    const metrics = {
      sequence: 0,
      scalars: [{ name: 'loss/task', steps: [1, 2, 3], values: [0.5, 'NaN', 0.25] }],
      arrays: [{ name: 'validation/task_by_t', step: 2, values: [1, null, 'Infinity'] }],
    }
    expect((await worker.call(lease, 'metrics', metrics)).body).toMatchObject({ duplicate: false })
    expect((await worker.call(lease, 'metrics', metrics)).body).toMatchObject({ duplicate: true })
    const lines = [{ time: new Date().toISOString(), stream: 'stdout', text: 'hello' }]
    expect((await worker.call(lease, 'logs', { sequence: 0, lines })).status).toBe(200)

    const files = { 'a.txt': 'aaa', 'sub/b.json': '{}', 'empty.txt': '' }
    const done = await worker.complete(lease, files, { metrics: { samples: 10 }, warnings: ['w'] })
    expect(done).toMatchObject({ status: 200, body: { state: expect.stringMatching(/verifying|succeeded/) } })
    const run = await runUntil(user(), created.body.id, ended)
    expect(run).toMatchObject({ state: 'succeeded', label: 'first', stages_by_state: { succeeded: 1 } })
    const [stage] = run.stages
    expect(stage).toMatchObject({
      state: 'succeeded',
      cached: false,
      epoch: 1,
      result: { metrics: { samples: 10 }, warnings: ['w'] },
      attempts: [{ epoch: 1, worker: worker.id, outcome: 'succeeded' }],
    })

    const scalars = await user().must(
      'GET',
      `/v1/metrics/scalars?stage=${stage.id}&name=${encodeURIComponent('loss/task')}`,
    )
    expect(scalars.total_points).toBe(3)
    expect(
      scalars.buckets.reduce((sum: number, each: { non_finite: number }) => sum + each.non_finite, 0),
    ).toBe(1)
    const arrays = await user().must(
      'GET',
      `/v1/metrics/arrays?stage=${stage.id}&name=${encodeURIComponent('validation/task_by_t')}`,
    )
    expect(arrays.rows).toEqual([{ step: 2, values: [1, null, 'Infinity'] }])
    const { series } = await user().must('GET', `/v1/runs/${run.id}/series`)
    expect(series.map((each: { name: string }) => each.name).sort()).toEqual([
      'loss/task',
      'validation/task_by_t',
    ])
    const logs = await user().must('GET', `/v1/stages/${stage.id}/logs`)
    expect(logs).toMatchObject({ lines: [{ text: 'hello', epoch: 1, number: 0 }], next: 1 })
    const detail = await user().must('GET', `/v1/stages/${stage.id}`)
    expect(detail.spec).toMatchObject({ kind: 'render_dataset', samples: 10 })

    const tree = await user().must('GET', `/v1/artifacts/${stage.output}`)
    expect(tree).toMatchObject({ kind: 'tree', size: 5, url: null })
    expect(tree.files.map((file: { path: string }) => file.path)).toEqual([
      'a.txt',
      'empty.txt',
      'sub/b.json',
    ])
    const moved = await user().get(`/v1/artifacts/${stage.output}/files/sub/b.json`)
    expect(moved.status).toBe(302)
    const file = await fetch(moved.headers.get('location') as string)
    expect(await file.text()).toBe('{}')
    expect(file.headers.get('content-type')).toBe('application/json')
    expect(file.headers.get('content-disposition')).toBe('inline; filename="b.json"')
    const blob = await user().must('GET', `/v1/artifacts/${tree.files[0].sha256}`)
    expect(await (await fetch(blob.url)).text()).toBe('aaa')
    expect((await user().get(`/v1/artifacts/${stage.output}/files/none`)).body.code).toBe('not_found')
  })

  it('completes once: the same again is answered alike, another output is refused', async () => {
    const { id } = await submit(user())
    const lease = await worker.mustClaim()
    const output = await worker.upload(lease, { 'x.txt': 'x' })
    const other = await worker.upload(lease, { 'x.txt': 'y' })
    const result = { metrics: {} }
    expect((await worker.call(lease, 'complete', { output, result })).status).toBe(200)
    expect((await worker.call(lease, 'complete', { output, result })).status).toBe(200)
    const second = await worker.call(lease, 'complete', { output: other, result })
    expect(second).toMatchObject({ status: 409, body: { code: 'output_conflict' } })
    const run = await runUntil(user(), id, ended)
    expect(run.stages[0].output).toBe(output)
  })

  it('is answered from the cache the second time, and not with another salt', async () => {
    const again = submission()
    const first = await user().must('POST', '/v1/runs', again)
    const lease = await worker.mustClaim()
    await worker.complete(lease, { 'c.txt': first.id })
    const done = await runUntil(user(), first.id, ended)
    const second = await user().must('POST', '/v1/runs', again)
    expect(await worker.claim(0.2)).toBeNull()
    const cached = await runUntil(user(), second.id, ended)
    expect(cached.stages[0]).toMatchObject({
      state: 'succeeded',
      cached: true,
      output: done.stages[0].output,
    })
    const third = await submit(user())
    expect((await worker.mustClaim()).run).toBe(third.id)
    await user().must('POST', `/v1/runs/${third.id}/cancel`)
  })

  it('starts what waits only when what it needs is verified, and hands over its digest', async () => {
    const extract = {
      name: 'after',
      spec: { kind: 'render_dataset', source: 'shapes', samples: 5, samples_per_shard: 5, seed: 3 },
      after: ['render'],
    }
    const { id } = await submit(user(), { recipe: trivialRecipe(render('render', 2), extract) })
    const first = await worker.mustClaim()
    expect(first.name).toBe('render')
    expect(await worker.claim(0.1)).toBeNull()
    await worker.complete(first, { 'd.txt': id })
    const second = await worker.mustClaim()
    expect(second).toMatchObject({ run: id, name: 'after' })
    await worker.complete(second, { 'e.txt': id })
    expect(await runUntil(user(), id, ended)).toMatchObject({ state: 'succeeded' })
  })

  it('resumes from the newest verified checkpoint after a released lease', async () => {
    const { id } = await submit(user())
    const lease = await worker.mustClaim()
    const digest = await worker.upload(lease, { 'manifest.json': id })
    expect((await worker.call(lease, 'checkpoint', { step: 40, digest })).status).toBe(200)
    await runUntil(user(), id, () => true)
    for (;;) if ((await user().get(`/v1/artifacts/${digest}`)).status === 200) break
    expect((await worker.call(lease, 'release', { reason: 'preempted', step: 40 })).status).toBe(200)
    const again = await worker.mustClaim()
    expect(again).toMatchObject({ stage: lease.stage, epoch: 2, resume: { digest, step: 40 } })
    await worker.complete(again, { 'f.txt': id })
    const run = await runUntil(user(), id, ended)
    expect(run.stages[0].attempts.map((attempt: { outcome: string }) => attempt.outcome)).toEqual([
      'released',
      'succeeded',
    ])
  })

  it('that failed says why, skips what followed, and goes on after a retry', async () => {
    const { id } = await submit(user(), {
      recipe: trivialRecipe(render('render', 4), render('after', 5, { after: ['render'] })),
    })
    const lease = await worker.mustClaim()
    const failure = { reason: 'bad_config', message: 'samples is 10', last_log_lines: ['one', 'two'] }
    expect((await worker.call(lease, 'fail', failure)).status).toBe(200)
    const failed = await runUntil(user(), id, ended)
    expect(failed).toMatchObject({ state: 'failed' })
    expect(failed.stages.find((stage: { name: string }) => stage.name === 'render')).toMatchObject({
      state: 'failed',
      reason: 'bad_config',
      message: expect.stringContaining('samples is 10'),
      last_log_lines: ['one', 'two'],
    })
    expect(failed.stages.find((stage: { name: string }) => stage.name === 'after').state).toBe('skipped')
    const reopened = await user().must('POST', `/v1/runs/${id}/retry`, {})
    expect(reopened.state).not.toBe('failed')
    for (const name of ['render', 'after']) {
      const next = await worker.mustClaim()
      expect(next).toMatchObject({ run: id, name })
      await worker.complete(next, { 'g.txt': `${id} ${name}` })
    }
    expect(await runUntil(user(), id, ended)).toMatchObject({ state: 'succeeded' })
  })

  it('takes the same claim id for the same lease', async () => {
    const { id } = await submit(user())
    const claim = 'clm_01k00000000000000000000000'
    const first = await worker.claim(5, claim)
    expect(first?.run).toBe(id)
    expect(await worker.claim(5, claim)).toEqual(first)
    await user().must('POST', `/v1/runs/${id}/cancel`)
    expect((await worker.call(first!, 'release', { reason: 'cancelled', step: null })).status).toBe(200)
    expect((await runUntil(user(), id, ended)).state).toBe('cancelled')
  })
})

describe('a lease', () => {
  it('that runs out is claimed by another worker; the first one is told, and its last lines are still taken', async () => {
    const { id } = await submit(user())
    const lease = await worker.mustClaim()
    const other = await TestWorker.register(plane.as('worker'), 'w2')
    const again = await other.mustClaim(20)
    expect(again).toMatchObject({ run: id, stage: lease.stage, epoch: 2 })

    for (const [call, body] of [
      ['heartbeat', { hold_seconds: 0, progress: null }],
      ['checkpoint', { step: 1, digest: 'a'.repeat(64) }],
      ['complete', { output: 'a'.repeat(64), result: { metrics: {} } }],
      ['fail', { reason: 'error', message: 'm', last_log_lines: [] }],
      ['release', { reason: 'preempted', step: null }],
    ] as const)
      expect(await worker.call(lease, call, body), call).toMatchObject({
        status: 409,
        body: { code: 'lease_lost' },
      })
    const lines = [{ time: new Date().toISOString(), stream: 'stderr', text: 'last words' }]
    expect((await worker.call(lease, 'logs', { sequence: 0, lines })).status).toBe(200)
    const never = { ...lease, epoch: 9 }
    expect((await worker.call(never, 'logs', { sequence: 0, lines })).body.code).toBe('lease_lost')

    await other.complete(again, { 'h.txt': id })
    const run = await runUntil(user(), id, ended)
    expect(run).toMatchObject({ state: 'succeeded' })
    expect(run.stages[0].attempts).toMatchObject([
      { epoch: 1, outcome: 'lost', reason: 'worker_lost' },
      { epoch: 2, outcome: 'succeeded' },
    ])
  })
})

describe('cancel', () => {
  it('ends a queued run at once', async () => {
    const { id } = await submit(user())
    await user().must('POST', `/v1/runs/${id}/cancel`)
    expect((await runUntil(user(), id, ended)).state).toBe('cancelled')
    expect(await worker.claim(0.1)).toBeNull()
  })

  it('is told to a held heartbeat at once, and ends when the worker gives back its lease', async () => {
    const { id } = await submit(user())
    const lease = await worker.mustClaim()
    const held = worker.heartbeat(lease, 10)
    const start = performance.now()
    const asked = await user().must('POST', `/v1/runs/${id}/cancel`)
    expect(asked.state).toBe('cancelling')
    expect((await held).body.action).toBe('cancel')
    expect(performance.now() - start).toBeLessThan(5_000)
    expect((await worker.call(lease, 'release', { reason: 'cancelled', step: null })).status).toBe(200)
    const run = await runUntil(user(), id, ended)
    expect(run).toMatchObject({ state: 'cancelled', stages: [{ state: 'cancelled', reason: 'cancelled' }] })
  })

  it('is refused for a run that has succeeded', async () => {
    const { id } = await submit(user())
    await worker.complete(await worker.mustClaim(), { 'i.txt': id })
    await runUntil(user(), id, ended)
    expect(await user().post(`/v1/runs/${id}/cancel`, {})).toMatchObject({
      status: 409,
      body: { code: 'conflict' },
    })
  })
})
