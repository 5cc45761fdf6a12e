import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Plane, showLogOnFailure, startPlane } from './support/plane.ts'
import { submit } from './support/runs.ts'
import { TestWorker } from './support/worker.ts'

let plane: Plane
beforeAll(async () => {
  plane = await startPlane()
})
beforeEach(() => showLogOnFailure(plane))

const user = () => plane.as('submitter')

describe('the event stream', () => {
  it('tells a run from its beginning, live, and goes on behind Last-Event-ID without a gap or a repeat', async () => {
    const worker = await TestWorker.register(plane.as('worker'), 'events')
    const { id } = await submit(user())
    const first = await user().stream(`/v1/runs/${id}/events`)
    const begun = await first.take(2)
    expect(begun[0]?.data).toMatchObject({ type: 'run.created', run: id })
    first.close()

    await worker.complete(await worker.mustClaim(), { 'a.txt': id })
    const succeeded = (message: { data: { type: string; payload: Record<string, unknown> } }) =>
      message.data.type === 'run.changed' && message.data.payload.state === 'succeeded'
    const last = begun.at(-1)?.id as string
    const second = await user().stream(`/v1/runs/${id}/events`, { 'last-event-id': last })
    const rest = await second.until(succeeded)
    second.close()

    const whole = await user().stream(`/v1/runs/${id}/events`)
    const all = await whole.until(succeeded)
    whole.close()
    const ids = [...begun, ...rest].map((message) => message.id)
    expect(ids).toEqual(all.map((message) => message.id))
    expect(new Set(ids).size).toBe(ids.length)
    const states = all
      .filter(({ data }) => data.type === 'stage.changed')
      .map(({ data }) => data.payload.state)
    expect(states).toEqual(['queued', 'running', 'verifying', 'succeeded'])
  })

  it('of the project begins now and tells every run', async () => {
    const before = await submit(user())
    const stream = await user().stream('/v1/events')
    const after = await submit(user())
    const [message] = await stream.until(({ data }) => data.type === 'run.created')
    stream.close()
    expect(message?.data.run).not.toBe(before.id)
    expect(message?.data.run).toBe(after.id)
  })

  it('is read in pages as well', async () => {
    const { id } = await submit(user())
    const page = await user().must('GET', `/v1/runs/${id}/events?limit=1`)
    expect(page.events).toHaveLength(1)
    const rest = await user().must('GET', `/v1/runs/${id}/events?after=${page.cursor}`)
    expect(rest.events.length).toBeGreaterThan(0)
    expect(rest.events[0].cursor).not.toBe(page.cursor)
    const end = await user().must('GET', `/v1/runs/${id}/events?after=${rest.cursor}`)
    expect(end).toEqual({ events: [], cursor: rest.cursor })
  })

  it('refuses a Last-Event-ID that is none', async () => {
    const answer = await user().get('/v1/events', { 'last-event-id': 'x', accept: 'text/event-stream' })
    expect(answer).toMatchObject({ status: 422, body: { code: 'invalid_request' } })
  })

  it('ends with a hint when the server stops, and held claims are answered', async () => {
    const api = await plane.addApi()
    const viewer = plane.as('viewer', api)
    const stream = await viewer.stream('/v1/events')
    // Nothing that this class could run is ever queued here.
    const claims = await TestWorker.register(plane.as('worker', api), 'gpu', {
      resource_classes: ['gpu-80g'],
      gpu_count: 1,
    })
    const held = claims.claim(20)
    await stream.until(({ data }) => data.type === 'worker.registered')
    await api.stop()
    expect(await held).toBeNull()
    expect(await stream.next()).toBeNull()
    expect(stream.raw.trimEnd().endsWith('retry: 2000')).toBe(true)
    await expect(viewer.get('/v1/live')).rejects.toThrow()
  })
})
