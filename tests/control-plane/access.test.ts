import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openApiDocument } from '../../apps/api/scripts/openapi-document.ts'
import { type Plane, showLogOnFailure, startPlane } from './support/plane.ts'
import { submission, submit } from './support/runs.ts'
import { registration } from './support/worker.ts'

const RUN = 'run_01k00000000000000000000000'
const STAGE = 'stg_01k00000000000000000000000'
const DIGEST = 'a'.repeat(64)
const SCOPES = ['viewer', 'submitter', 'promoter', 'admin', 'worker', 'device'] as const
type Needs = (typeof SCOPES)[number] | 'any' | null

/** Who may call what: this table is the specification, the code is compared with it. */
const OPERATIONS: [method: 'GET' | 'POST' | 'DELETE', path: string, needs: Needs, pattern?: string][] = [
  ['GET', '/v1/live', null],
  ['GET', '/v1/health', null],
  ['POST', '/v1/runs', 'submitter'],
  ['GET', '/v1/runs', 'viewer'],
  ['GET', `/v1/runs/${RUN}`, 'viewer', '/v1/runs/{run}'],
  ['POST', '/v1/runs/cancel', 'submitter'],
  ['POST', '/v1/runs/plan', 'viewer'],
  ['POST', `/v1/runs/${RUN}/cancel`, 'submitter', '/v1/runs/{run}/cancel'],
  ['POST', `/v1/runs/${RUN}/retry`, 'submitter', '/v1/runs/{run}/retry'],
  ['GET', `/v1/runs/${RUN}/events`, 'viewer', '/v1/runs/{run}/events'],
  ['GET', `/v1/runs/${RUN}/series`, 'viewer', '/v1/runs/{run}/series'],
  ['GET', '/v1/events', 'viewer'],
  ['GET', `/v1/stages/${STAGE}`, 'viewer', '/v1/stages/{stage}'],
  ['GET', `/v1/stages/${STAGE}/logs`, 'viewer', '/v1/stages/{stage}/logs'],
  ['GET', `/v1/metrics/scalars?stage=${STAGE}&name=x`, 'viewer', '/v1/metrics/scalars'],
  ['GET', `/v1/metrics/arrays?stage=${STAGE}&name=x`, 'viewer', '/v1/metrics/arrays'],
  ['GET', `/v1/artifacts/${DIGEST}`, 'viewer', '/v1/artifacts/{digest}'],
  ['GET', `/v1/artifacts/${DIGEST}/files/a/b.png`, 'viewer', '/v1/artifacts/{digest}/files/{path}'],
  ['POST', '/v1/uploads', 'submitter'],
  ['POST', '/v1/uploads/complete', 'submitter'],
  ['GET', '/v1/assets', 'viewer'],
  ['POST', '/v1/assets', 'submitter'],
  ['GET', '/v1/recipes', 'viewer'],
  ['GET', '/v1/recipes/tiny-shapes', 'viewer', '/v1/recipes/{name}'],
  ['GET', '/v1/evaluations', 'viewer'],
  ['GET', '/v1/evaluations/published', 'viewer'],
  ['POST', '/v1/measurements', 'device'],
  ['GET', '/v1/measurements', 'viewer'],
  ['GET', '/v1/preferences', 'viewer'],
  ['GET', '/v1/preferences/next', 'viewer'],
  ['POST', '/v1/preferences/votes', 'viewer'],
  ['GET', '/v1/models', 'viewer'],
  ['GET', '/v1/models/mdl_01k00000000000000000000000', 'viewer', '/v1/models/{id}'],
  ['POST', '/v1/promotions', 'promoter'],
  ['GET', '/v1/promotions', 'viewer'],
  ['GET', '/v1/releases/mobile-canary', 'viewer', '/v1/releases/{alias}'],
  ['GET', '/v1/workers', 'viewer'],
  ['GET', '/v1/queues', 'viewer'],
  ['POST', '/v1/workers/wrk_01k00000000000000000000000/drain', 'admin', '/v1/workers/{worker}/drain'],
  ['POST', '/v1/tokens', 'admin'],
  ['GET', '/v1/tokens', 'admin'],
  ['DELETE', '/v1/tokens/tok_01k00000000000000000000000', 'admin', '/v1/tokens/{token}'],
  ['GET', '/v1/whoami', 'any'],
  ['POST', '/v1/session-codes', 'admin'],
  ['POST', '/v1/sessions', null],
  ['DELETE', '/v1/sessions', 'any'],
  ['POST', '/v1/worker/register', 'worker'],
  ['POST', '/v1/worker/claim', 'worker'],
  ...[
    'heartbeat',
    'metrics',
    'logs',
    'uploads',
    'uploads/complete',
    'downloads',
    'checkpoint',
    'complete',
    'fail',
    'release',
  ].map((call): [method: 'POST', path: string, needs: Needs, pattern: string] => [
    'POST',
    `/v1/worker/stages/${STAGE}/${call}`,
    'worker',
    `/v1/worker/stages/{stage}/${call}`,
  ]),
]

const allowed = (needs: Needs, scope: (typeof SCOPES)[number]): boolean => {
  if (needs === null || needs === 'any') return true
  const alone = ['worker', 'device']
  if (alone.includes(needs) || alone.includes(scope)) return needs === scope
  return SCOPES.indexOf(scope) >= SCOPES.indexOf(needs)
}

let plane: Plane
beforeAll(async () => {
  plane = await startPlane()
})
beforeEach(() => showLogOnFailure(plane))

describe('who may call what', () => {
  it('is written down for every operation', async () => {
    const { paths } = await openApiDocument()
    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    )
    const listed = OPERATIONS.map(([method, path, , pattern]) => `${method} ${pattern ?? path}`)
    expect(listed.sort()).toEqual(described.sort())
  })

  it.each(OPERATIONS)('%s %s needs %s', async (method, path, needs) => {
    const none = await plane.withToken(null).send(method, path)
    const wrong = await plane.withToken('lmbk_nonsense').send(method, path)
    if (needs === null) expect(none.status).not.toBe(403)
    else
      for (const answer of [none, wrong])
        expect(answer).toMatchObject({ status: 401, body: { code: 'unauthenticated' } })
    for (const scope of SCOPES) {
      const answer = await plane.as(scope).send(method, path)
      if (allowed(needs, scope))
        expect([401, 403], `${scope}: ${JSON.stringify(answer.body)}`).not.toContain(answer.status)
      else expect(answer, scope).toMatchObject({ status: 403, body: { code: 'forbidden' } })
    }
  })
})

describe('nonsense', () => {
  const posts = OPERATIONS.filter(([method]) => method === 'POST')
  const token = (needs: Needs) => plane.as(needs === null || needs === 'any' ? 'admin' : needs)

  it.each(posts)('%s %s refuses what is not its body, and says why', async (method, path, needs) => {
    const client = token(needs)
    const bad = await client.send(method, path, '{"a": ')
    expect(bad).toMatchObject({ status: 400, body: { code: 'malformed_json' } })
    expect(bad.headers.get('content-type')).toContain('application/problem+json')
    for (const body of ['[]', '"text"', '7', '{"zzz_unknown": 1}', '{"recipe": {"$ne": null}}']) {
      const answer = await client.send(method, path, body)
      expect(answer, body).toMatchObject({ status: 422, body: { code: 'invalid_request', status: 422 } })
      expect(answer.body.errors.length).toBeGreaterThan(0)
      expect(answer.body.request_id).toBe(answer.headers.get('x-request-id'))
    }
    const form = await client.send(method, path, 'a=1', { 'content-type': 'text/plain' })
    expect(form).toMatchObject({ status: 415, body: { code: 'unsupported_media_type' } })
    const huge = await client
      .send(method, path, `{"a": "${'x'.repeat(7_000_000)}"}`)
      .catch((error) => error.cause?.code)
    // The server may hang up on a body that is too large before all of it was sent.
    if (typeof huge === 'string') expect(huge).toMatch(/EPIPE|ECONNRESET|UND_ERR_SOCKET/)
    else expect(huge).toMatchObject({ status: 413, body: { code: 'body_too_large' } })
  })

  it.each([
    '/v1/runs/nonsense',
    `/v1/runs/${STAGE}`,
    '/v1/stages/x/logs',
    '/v1/runs?limit=0',
    '/v1/runs?limit=1e9',
    '/v1/runs?state=lost',
    '/v1/runs?cursor=nonsense',
    '/v1/runs?unknown=1',
    '/v1/runs?label=%00',
    '/v1/artifacts/UPPER',
    `/v1/metrics/scalars?stage=${STAGE}&name=${encodeURIComponent("x'; DROP TABLE run; --")}`,
    `/v1/metrics/scalars?stage=${STAGE}&name=x&max_points=1`,
    '/v1/events?after=7',
    '/v1/evaluations?run=no',
    '/v1/recipes/No',
  ])('GET %s is 422', async (path) => {
    expect(await plane.as('viewer').get(path)).toMatchObject({
      status: 422,
      body: { code: 'invalid_request' },
    })
  })

  it.each([
    `/v1/runs/${RUN}`,
    `/v1/runs/${RUN}/events`,
    `/v1/runs/${RUN}/series`,
    `/v1/stages/${STAGE}`,
    `/v1/stages/${STAGE}/logs`,
    `/v1/metrics/scalars?stage=${STAGE}&name=x`,
    `/v1/artifacts/${DIGEST}`,
    '/v1/models/mdl_01k00000000000000000000000',
    '/v1/releases/mobile-release',
    '/v1/recipes/none',
    '/v1/nothing-here',
  ])('GET %s is 404', async (path) => {
    expect(await plane.as('viewer').get(path)).toMatchObject({ status: 404, body: { code: 'not_found' } })
  })

  it.each([
    [{ recipe: 'nothing' }, 'unknown_recipe', 'tiny-shapes'],
    [{ recipe: 'tiny-shapes', overrides: { 'distill.training.stepz': 5 } }, 'invalid_override', 'stepz'],
    [{ recipe: 'tiny-shapes', overrides: { 'distill.training.steps': 'many' } }, 'invalid_override', 'steps'],
    [{ recipe: 'tiny-shapes', overrides: { 'distill.training.steps': -1 } }, 'invalid_override', 'steps'],
    [{ recipe: 'tiny-shapes', overrides: { 'nowhere.x': 1 } }, 'invalid_override', 'nowhere'],
    [{ recipe: 'tiny-shapes' }, 'unknown_asset', 'tiny-'],
    [{ recipe: 'tiny-shapes', priority: 101 }, 'invalid_request', 'priority'],
    [{ recipe: 'tiny-shapes', label: 'x\u0000' }, 'invalid_request', 'NUL'],
  ])('a run %j is %s', async (body, code, named) => {
    const answer = await plane.as('submitter').post('/v1/runs', body)
    expect(answer).toMatchObject({ status: 422, body: { code } })
    expect(JSON.stringify(answer.body)).toContain(named)
  })

  it('keeps a request id that is one, and makes one otherwise', async () => {
    const kept = await plane.as('viewer').get('/v1/runs', { 'x-request-id': 'ci-17' })
    expect(kept.headers.get('x-request-id')).toBe('ci-17')
    const made = await plane.as('viewer').get('/v1/runs', { 'x-request-id': 'a b; DROP' })
    expect(made.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
  })
})

describe('tokens', () => {
  it('are shown once, work at once, and stop at once', async () => {
    const admin = plane.as('admin')
    const made = await admin.post('/v1/tokens', { name: 'ci', scopes: ['submitter'] })
    expect(made.status).toBe(201)
    expect(made.body.token).toMatch(/^lmbk_/)
    const holder = plane.withToken(made.body.token)
    expect((await holder.get('/v1/whoami')).body).toEqual({
      name: 'ci',
      prefix: made.body.prefix,
      scopes: ['submitter'],
      project: 'default',
    })
    const { tokens } = await admin.must('GET', '/v1/tokens')
    expect(JSON.stringify(tokens)).not.toContain(made.body.token)
    expect(tokens.map((token: { id: string }) => token.id)).toContain(made.body.id)
    expect((await admin.delete(`/v1/tokens/${made.body.id}`)).body.revoked_at).not.toBeNull()
    expect((await holder.get('/v1/whoami')).status).toBe(401)
    const audit = await plane.store.pool.query('SELECT * FROM audit_log ORDER BY id')
    expect(JSON.stringify(audit.rows)).toContain('token.revoke')
  })

  it('of another project see nothing of this one', async () => {
    expect(
      await plane.as('admin').post('/v1/tokens', { name: 'x', scopes: ['admin'], project: 'other' }),
    ).toMatchObject({
      status: 403,
    })
  })

  it('and one-time codes reach no log', async () => {
    const { code } = await plane.as('admin').must('POST', '/v1/session-codes')
    await plane.withToken(null).post('/v1/sessions', { code })
    const log = plane.lines.join('')
    for (const secret of [code, ...Object.values(plane.secrets)]) expect(log).not.toContain(secret)
  })
})

describe('a session', () => {
  it('is one code, one cookie, and may read and submit but not promote', async () => {
    const { code } = await plane.as('admin').must('POST', '/v1/session-codes')
    const browser = plane.withToken(null)
    const signedIn = await browser.post('/v1/sessions', { code })
    expect(signedIn).toMatchObject({
      status: 201,
      body: { project: 'default', scopes: ['viewer', 'submitter'] },
    })
    const header = signedIn.headers.get('set-cookie') as string
    expect(header).toMatch(/HttpOnly/)
    expect(header).toMatch(/SameSite=Strict/)
    const cookie = { cookie: header.split(';')[0] as string }
    expect((await browser.get('/v1/runs', cookie)).status).toBe(200)
    expect((await browser.post('/v1/runs', submission(), cookie)).status).toBe(201)
    expect((await browser.get('/v1/tokens', cookie)).status).toBe(403)
    expect(await browser.post('/v1/sessions', { code })).toMatchObject({ status: 401 })
    expect((await browser.send('DELETE', '/v1/sessions', undefined, cookie)).body).toEqual({ ended: true })
    expect((await browser.get('/v1/runs', cookie)).status).toBe(401)
  })
})

describe('Idempotency-Key', () => {
  it('gives the same run for the same request, and 422 for another', async () => {
    const client = plane.as('submitter')
    const body = submission()
    const key = { 'idempotency-key': 'key-1' }
    const [first, second] = await Promise.all([
      client.post('/v1/runs', body, key),
      client.post('/v1/runs', body, key),
    ])
    const third = await client.post('/v1/runs', body, key)
    expect(third.headers.get('idempotency-replayed')).toBe('true')
    expect(new Set([first, second, third].map((answer) => answer.body.id)).size).toBe(1)
    expect(await client.post('/v1/runs', submission(), key)).toMatchObject({
      status: 422,
      body: { code: 'idempotency_key_reused' },
    })
    expect(await client.post('/v1/runs', body, { 'idempotency-key': 'with space' })).toMatchObject({
      status: 422,
      body: { code: 'invalid_request' },
    })
  })
})

describe('lists', () => {
  it('are paged by a cursor that skips and repeats nothing', async () => {
    const client = plane.as('submitter')
    const label = 'paged'
    const ids: string[] = []
    for (let number = 0; number < 5; number++) ids.push((await submit(client, { label })).id)
    const seen: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const after: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`
      const page: { runs: { id: string }[]; next_cursor: string | null } = await client.must(
        'GET',
        `/v1/runs?label=${label}&limit=2${after}`,
      )
      seen.push(...page.runs.map((run) => run.id))
      cursor = page.next_cursor
    }
    expect(seen).toEqual(ids.reverse())
  })

  it('show workers as they registered, the same boot as the same worker', async () => {
    const worker = plane.as('worker')
    const first = await worker.must('POST', '/v1/worker/register', registration('listed'))
    const again = await worker.must('POST', '/v1/worker/register', registration('listed'))
    expect(again).toEqual(first)
    const { workers } = await plane.as('viewer').must('GET', '/v1/workers')
    expect(workers.filter((each: { name: string }) => each.name === 'listed')).toMatchObject([
      { id: first.worker, live: true, stage: null, resource_classes: ['cpu'] },
    ])
  })
})

describe('the service', () => {
  it('says that all three servers work, and how it is used', async () => {
    const open = plane.withToken(null)
    expect((await open.get('/v1/health')).body).toMatchObject({
      status: 'ok',
      servers: { postgres: { works: true }, redis: { works: true }, s3: { works: true } },
    })
    expect((await open.get('/v1/live')).body).toEqual({ status: 'live' })
    const metrics = (await open.get('/metrics')).body as string
    expect(metrics).toContain('limbeck_api_request_seconds_count{method="GET",route="/v1/runs",status="200"}')
    expect(metrics).not.toContain(RUN)
    expect((await open.get('/openapi.json')).body.openapi).toBe('3.1.0')
  })
})

describe('the rate limit', () => {
  // The last test of the file: after it, this address has no code to exchange for a minute.
  it('stops who guesses one-time codes, and says when to come again', async () => {
    const guesser = plane.withToken(null)
    const answers = await Promise.all(
      Array.from({ length: 21 }, (_, index) =>
        guesser.post('/v1/sessions', { code: `guess-${index}-0123456789` }),
      ),
    )
    const limited = answers.filter((answer) => answer.status === 429)
    expect(limited.length).toBeGreaterThan(0)
    expect(limited[0]).toMatchObject({ body: { code: 'rate_limited' } })
    expect(Number(limited[0]?.headers.get('retry-after'))).toBeGreaterThan(0)
    expect((await plane.as('viewer').get('/v1/runs')).status).toBe(200)
  })
})
