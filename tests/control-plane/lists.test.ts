/** What the dashboard's lists ask for: search, key figures, many cancels, plans, queues, files answered by the API. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Plane, startPlane } from './support/plane.ts'
import {
  cancelEverything,
  ended,
  render,
  runUntil,
  submission,
  submit,
  trivialRecipe,
} from './support/runs.ts'
import { TestWorker } from './support/worker.ts'

let plane: Plane
beforeAll(async () => {
  plane = await startPlane()
}, 120_000)
beforeEach(() => cancelEverything(plane.as('submitter')))

describe('runs', () => {
  it('are found by parts of label, recipe and submitter in any case, and by how their id begins', async () => {
    const user = plane.as('submitter')
    const run = await submit(user, { label: 'KD sweep 100%_7' })
    const found = async (text: string): Promise<string[]> => {
      const { runs } = await user.must('GET', `/v1/runs?text=${encodeURIComponent(text)}`)
      return runs.map(({ id }: { id: string }) => id)
    }
    expect(await found('kd SWEEP')).toEqual([run.id])
    expect(await found('100%_')).toEqual([run.id])
    expect(await found('100x_')).toEqual([])
    expect(await found(run.id.slice(0, 20))).toContain(run.id)
    expect(await found('trivial')).toContain(run.id)
    expect(await found(run.submitted_by)).toContain(run.id)
    expect((await user.get('/v1/runs?text=')).status).toBe(422)
  })

  it('show the step of the running stage and the newest task loss, never one that is no number', async () => {
    const user = plane.as('submitter')
    const run = await submit(user, { label: 'figures' })
    expect(run.figures).toEqual({ step: null, total: null, task_loss: null, overall: null })
    const worker = await TestWorker.register(plane.as('worker'), 'figures-worker')
    const lease = await worker.mustClaim()
    expect(lease.run).toBe(run.id)
    await worker.heartbeat(lease, 0, { step: 5, total: 20, images_per_second: 3, loss: 0.5 })
    const log = (sequence: number, steps: number[], values: (number | string)[]) =>
      worker.call(lease, 'metrics', {
        sequence,
        scalars: [{ name: 'loss/task', steps, values }],
        arrays: [],
      })
    await log(0, [1, 2], [0.5, 0.25])
    const listed = async () => {
      const { runs } = await user.must('GET', '/v1/runs?text=figures')
      return runs[0].figures
    }
    expect(await listed()).toEqual({ step: 5, total: 20, task_loss: 0.25, overall: null })
    await log(1, [3], ['NaN'])
    expect((await listed()).task_loss).toBe(null)
    await worker.complete(lease, { 'a.txt': 'a' })
    await runUntil(user, run.id, ended)
    expect((await listed()).step).toBe(null)
  })

  it('are cancelled many at a time, each by itself', async () => {
    const user = plane.as('submitter')
    const [first, second] = [await submit(user), await submit(user)]
    const missing = 'run_01k00000000000000000000000'
    const asked = { runs: [first.id, missing, second.id, first.id] }
    const { cancelled, refused } = await user.must('POST', '/v1/runs/cancel', asked)
    expect(cancelled).toEqual([first.id, second.id])
    expect(refused).toEqual([{ run: missing, reason: expect.stringContaining(missing) }])
    for (const run of [first, second])
      expect((await user.must('GET', `/v1/runs/${run.id}`)).state).toBe('cancelled')
    expect((await user.post('/v1/runs/cancel', { runs: [] })).status).toBe(422)
  })
})

describe('a plan', () => {
  it('names stages, their work and how long such stages took, and stores nothing', async () => {
    const user = plane.as('submitter')
    const worker = await TestWorker.register(plane.as('worker'), 'plan-worker')
    const recipe = trivialRecipe(render('timed'))
    expect((await user.must('POST', '/v1/runs/plan', { recipe })).stages[0].seconds).toBe(null)
    const run = await submit(user, { recipe })
    const lease = await worker.mustClaim()
    await worker.complete(lease, { 'a.txt': 'a' })
    const done = await runUntil(user, run.id, ended)
    const before = (await user.must('GET', '/v1/runs')).runs.length
    const plan = await user.must('POST', '/v1/runs/plan', { recipe })
    expect(plan).toEqual({
      stages: [
        {
          name: 'timed',
          kind: 'render_dataset',
          resource_class: 'cpu',
          seconds: expect.closeTo(done.stages[0].seconds, 3),
          steps: null,
          images: null,
        },
      ],
      issues: [],
    })
    expect((await user.must('GET', '/v1/runs')).runs.length).toBe(before)
  })

  it('of a preset says how many images each training stage sees', async () => {
    const { stages } = await plane.as('viewer').must('POST', '/v1/runs/plan', { recipe: 'tiny-shapes' })
    const trained = stages.filter(({ kind }: { kind: string }) => kind === 'pretrain')
    expect(trained.length).toBeGreaterThan(0)
    for (const { steps, images } of trained) expect(images % steps).toBe(0)
  })

  it('of what does not fit answers with every finding', async () => {
    const recipe = trivialRecipe(render('a', 1, { after: ['b'] }))
    const plan = await plane.as('viewer').must('POST', '/v1/runs/plan', { recipe })
    expect(plan.stages).toEqual([])
    expect(plan.issues).toEqual([{ path: expect.any(String), message: expect.stringContaining('b') }])
    const unknown = submission({ recipe: 'no-such' })
    expect((await plane.as('viewer').post('/v1/runs/plan', unknown)).body.code).toBe('unknown_recipe')
  })
})

it('queues say what waits, what runs and who serves a class', async () => {
  const user = plane.as('submitter')
  const recipe = trivialRecipe(
    render('first', 3, { resource_class: 'inception' }),
    render('second', 4, { resource_class: 'inception', after: ['first'] }),
  )
  const run = await submit(user, { recipe })
  const row = async () => {
    const { classes, project } = await user.must('GET', '/v1/queues')
    const found = classes.find(
      ({ resource_class }: { resource_class: string }) => resource_class === 'inception',
    )
    return { ...found, project }
  }
  expect(await row()).toMatchObject({ blocked: 1, queued: 1, due: 1, running: 0, workers: 0, free: 0 })
  expect((await row()).oldest_wait_seconds).toBeGreaterThanOrEqual(0)
  const worker = await TestWorker.register(plane.as('worker'), 'inception-worker', {
    resource_classes: ['inception'],
  })
  await worker.mustClaim()
  expect(await row()).toMatchObject({ blocked: 1, queued: 0, running: 1, workers: 1, free: 0 })
  await user.must('POST', `/v1/runs/${run.id}/cancel`, {})
})

it('a file of a tree is answered by the API itself where it is asked for inline', async () => {
  const user = plane.as('submitter')
  const worker = await TestWorker.register(plane.as('worker'), 'file-worker')
  const run = await submit(user, { recipe: trivialRecipe(render('files', 9)) })
  const lease = await worker.mustClaim()
  await worker.complete(lease, { 'a/b.json': '{"x":1}', 'page.html': '<script>' })
  const { stages } = await runUntil(user, run.id, ended)
  const at = (path: string, query = '?inline=1') =>
    plane.as('viewer').get(`/v1/artifacts/${stages[0].output}/files/${path}${query}`)
  const json = await at('a/b.json')
  expect([json.status, json.headers.get('content-type')]).toEqual([200, 'application/json'])
  expect(json.body).toEqual({ x: 1 })
  // Nothing that could run in the API's own origin.
  const page = await at('page.html')
  expect(page.headers.get('content-type')).toBe('application/octet-stream')
  expect(page.headers.get('content-disposition')).toContain('attachment')
  expect(page.headers.get('content-security-policy')).toContain('sandbox')
  expect((await at('a/b.json', '')).status).toBe(302)
  expect((await at('missing')).status).toBe(404)
})
