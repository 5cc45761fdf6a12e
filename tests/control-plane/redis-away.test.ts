import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { stackConfig } from '../support/stack.ts'
import { type Plane, showLogOnFailure, startPlane } from './support/plane.ts'
import { startProxy, type TcpProxy } from './support/proxy.ts'
import { ended, render, runUntil, submit, trivialRecipe } from './support/runs.ts'
import { TestWorker } from './support/worker.ts'

/** Claims that the clock does not wake: what is claimed within a test was rung for. */
const NO_CLOCK = { claim_poll_seconds: 25 }

describe('with Redis', () => {
  let plane: Plane
  beforeAll(async () => {
    plane = await startPlane({ times: NO_CLOCK })
  })
  beforeEach(() => showLogOnFailure(plane))

  it('a claim that waits at another replica is woken by the queue of its class', async () => {
    const api = await plane.addApi()
    const worker = await TestWorker.register(plane.as('worker', api), 'elsewhere')
    const waiting = worker.claim(20)
    const { id } = await submit(plane.as('submitter'))
    const start = performance.now()
    const lease = await waiting
    expect(lease?.run).toBe(id)
    expect(performance.now() - start).toBeLessThan(10_000)
  })
})

describe('without Redis', () => {
  let proxy: TcpProxy
  let plane: Plane
  beforeAll(async () => {
    const { hostname, port } = new URL(stackConfig().redis_url)
    proxy = await startProxy(hostname, Number(port))
    const url = new URL(stackConfig().redis_url)
    url.port = String(proxy.port)
    plane = await startPlane({ redis_url: url.href, times: { claim_poll_seconds: 0.2 } })
  })
  beforeEach(() => showLogOnFailure(plane))

  it('that goes away and comes back everything drains meanwhile, and health says what is the matter', async () => {
    const user = plane.as('submitter')
    const worker = await TestWorker.register(plane.as('worker'), 'w')
    const recipe = trivialRecipe(render('render', 1), render('after', 2, { after: ['render'] }))
    proxy.cut()
    for (let number = 0; number < 2; number++) {
      const { id } = await submit(user, { recipe })
      for (const name of ['render', 'after']) {
        const lease = await worker.mustClaim()
        expect(lease).toMatchObject({ run: id, name })
        await worker.complete(lease, { 'a.txt': `${id} ${name}` })
      }
      expect((await runUntil(user, id, ended)).state).toBe('succeeded')
    }
    const health = await plane.withToken(null).get('/v1/health')
    expect(health).toMatchObject({
      status: 200,
      body: { status: 'degraded', servers: { redis: { works: false }, postgres: { works: true } } },
    })

    proxy.restore()
    for (;;) if ((await plane.withToken(null).get('/v1/health')).body.status === 'ok') break
    const { id } = await submit(user)
    await worker.complete(await worker.mustClaim(), { 'a.txt': id })
    expect((await runUntil(user, id, ended)).state).toBe('succeeded')
    expect(plane.lines.join('')).not.toContain('"level":"fatal"')
  })
})
