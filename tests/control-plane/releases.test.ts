import { measurementSignature } from '@limbeck/store'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Plane, showLogOnFailure, startPlane } from './support/plane.ts'
import { ended, runUntil, submit } from './support/runs.ts'
import { sendBlobs, TestWorker, treeOf } from './support/worker.ts'

let plane: Plane
let worker: TestWorker
beforeAll(async () => {
  plane = await startPlane()
  worker = await TestWorker.register(plane.as('worker'), 'releases')
})
beforeEach(() => showLogOnFailure(plane))

const user = () => plane.as('submitter')

async function storeTree(files: Record<string, string>): Promise<string> {
  const { digest, blobs } = treeOf(files)
  await sendBlobs(user(), '/v1', blobs)
  for (;;) {
    const answer = await user().get(`/v1/artifacts/${digest}`)
    if (answer.status === 200) return digest
    expect(['artifact_not_verified', 'not_found']).toContain(answer.body.code)
  }
}

/** What becomes of an artifact when the server has looked at its bytes. */
async function settled(digest: string): Promise<string> {
  for (;;) {
    const { status, body } = await user().get(`/v1/artifacts/${digest}`)
    if (status === 200 || body.code !== 'artifact_not_verified') return body.code ?? 'verified'
  }
}

/** The whole graph of a preset, each stage answered by a worker that trains nothing. */
async function walk(psnr: number) {
  const recipe = await user().must('GET', '/v1/recipes/tiny-shapes-quick')
  const run = await submit(user(), { recipe })
  for (let left = run.stages.length - 1; left > 0; left--) {
    const lease = await worker.mustClaim()
    const good = { decoder_psnr_db: 60, unet_6bit_psnr_db: 50, loop_psnr_db: 60, findings: 0 }
    const metrics = lease.spec.kind === 'export_coreml' ? { unet_psnr_db: psnr, ...good } : {}
    await worker.complete(lease, { 'output.txt': `${run.id} ${lease.name}` }, { metrics })
  }
  return runUntil(user(), run.id, ended)
}

describe('assets', () => {
  it('are named once: the same content again is fine, another is refused', async () => {
    const licence = 'Apache-2.0'
    const [digest, other] = [await storeTree({ 'a.txt': 'one' }), await storeTree({ 'a.txt': 'two' })]
    const asset = { name: 'tiny-sd3', kind: 'snapshot', digest, licence }
    expect((await user().post('/v1/assets', asset)).status).toBe(201)
    expect((await user().post('/v1/assets', asset)).body).toMatchObject({ digest })
    expect(await user().post('/v1/assets', { ...asset, digest: other })).toMatchObject({
      status: 409,
      body: { code: 'asset_exists' },
    })
    expect(await user().post('/v1/assets', { ...asset, name: 'x', digest: 'b'.repeat(64) })).toMatchObject({
      status: 422,
      body: { code: 'unknown_artifact' },
    })
    await user().must('POST', '/v1/assets', { name: 'tiny-base', kind: 'model', digest: other, licence })
    const { assets } = await user().must('GET', '/v1/assets')
    expect(assets.map((each: { name: string }) => each.name).sort()).toEqual(['tiny-base', 'tiny-sd3'])
  })
})

describe('uploads', () => {
  it('are stored once', async () => {
    const { digest, blobs } = treeOf({ 'a.txt': 'one' })
    const tickets = await sendBlobs(user(), '/v1', blobs)
    expect(tickets.map((ticket: { state: string }) => ticket.state)).toEqual(['present', 'present'])
    expect(digest).toMatch(/^[0-9a-f]{64}$/)
  })

  it('of other bytes than promised never get the name', async () => {
    const { blobs } = treeOf({ 'lie.txt': 'the truth' })
    const [[digest, blob]] = blobs as unknown as [[string, { bytes: Buffer; kind: string }]]
    await sendBlobs(user(), '/v1', new Map([[digest, { ...blob, bytes: Buffer.from('not truth') }]]))
    expect(await settled(digest)).toBe('not_found')
    expect(plane.lines.filter((line) => line.includes('artifact_mismatch'))).toHaveLength(1)
    await storeTree({ 'lie.txt': 'the truth' })
  })

  it('without their parts become nothing, and uploads that are not there are 404', async () => {
    const { blobs } = treeOf({ 'b.txt': 'unsent' })
    const [[sha256, { bytes }]] = blobs as unknown as [[string, { bytes: Buffer }]]
    const { tickets } = await user().must('POST', '/v1/uploads', { blobs: [{ sha256, size: bytes.length }] })
    const uploads = [{ upload: tickets[0].upload, parts: [{ number: 1, etag: '"00"' }] }]
    const joined = await user().post('/v1/uploads/complete', { uploads })
    // Object stores differ in when they notice: at the join, or when the bytes are read.
    expect([200, 409]).toContain(joined.status)
    await user().post('/v1/uploads/complete', { uploads })
    expect(await settled(sha256)).toBe('not_found')
    const unknown = [{ ...uploads[0], upload: 'upl_01k00000000000000000000000' }]
    expect((await user().post('/v1/uploads/complete', { uploads: unknown })).status).toBe(404)
  })
})

describe('promotion', () => {
  const promoter = () => plane.as('promoter')

  it('of a model whose gates failed is refused with the list, and the alias does not move', async () => {
    const run = await walk(30)
    expect(run.state).toBe('succeeded')
    const { models } = await user().must('GET', `/v1/models?run=${run.id}`)
    expect(models).toMatchObject([{ run: run.id, promotable: false, aliases: [] }])
    const refused = await promoter().post('/v1/promotions', {
      model_version: models[0].id,
      alias: 'mobile-canary',
    })
    expect(refused).toMatchObject({
      status: 409,
      body: { code: 'gates_failed', gates: [{ name: 'unet-psnr', measured: 30, required: '>= 55' }] },
    })
    expect((await user().get('/v1/releases/mobile-canary')).status).toBe(404)
  })

  it('moves the alias, keeps the ledger, and the manifest holds the lineage', async () => {
    const run = await walk(70)
    const { models } = await user().must('GET', `/v1/models?run=${run.id}`)
    const [model] = models
    expect(model.promotable).toBe(true)
    expect(model.gates.every((gate: { passed: boolean }) => gate.passed)).toBe(true)
    expect(await user().must('GET', `/v1/models/${model.id}`)).toEqual(model)
    const body = { model_version: model.id, alias: 'mobile-canary', reason: 'test' }
    const key = { 'idempotency-key': 'promote-1' }
    const done = await promoter().post('/v1/promotions', body, key)
    expect(done).toMatchObject({
      status: 201,
      body: { alias: 'mobile-canary', model_version: model.id, previous: null },
    })
    const replay = await promoter().post('/v1/promotions', body, key)
    expect(replay.body).toEqual(done.body)
    const { promotions } = await user().must('GET', '/v1/promotions?alias=mobile-canary')
    expect(promotions).toEqual([done.body])
    const release = await user().must('GET', '/v1/releases/mobile-canary')
    expect(release.manifest).toMatchObject({
      format: 'limbeck-release-1',
      run: run.id,
      package: run.stages.find((stage: { name: string }) => stage.name === 'export').output,
      assets: expect.arrayContaining([expect.objectContaining({ name: 'tiny-sd3', licence: 'Apache-2.0' })]),
    })
    expect((await user().must('GET', `/v1/models/${model.id}`)).aliases).toEqual(['mobile-canary'])
    expect((await user().must('GET', `/v1/evaluations?run=${run.id}`)).evaluations).toEqual([])
  })
})

describe('measurements', () => {
  it('enter signed by a device, and are told apart from estimates', async () => {
    const made = { name: 'phone 1', scopes: ['device'] }
    const { token } = await plane.as('admin').must('POST', '/v1/tokens', made)
    const phone = plane.withToken(token)
    const body = {
      program_sha256: 'c'.repeat(64),
      package: 'unet-6bit',
      device: 'iPhone 16 Pro Max',
      os: 'iOS 18.2',
      compute_units: 'cpuAndNeuralEngine',
      warm_up: 5,
      runs: 50,
      median_ms: 274,
      p10_ms: 270.5,
      p90_ms: 280,
      peak_memory_bytes: 1_200_000_000,
      measured_at: '2026-11-27T08:00:00.000Z',
    } as const
    const signature = measurementSignature(token, body)
    const sent = await phone.post('/v1/measurements', { ...body, signature })
    expect(sent).toMatchObject({ status: 201, body: { ...body, kind: 'measured', token: 'phone 1' } })
    expect(await phone.post('/v1/measurements', { ...body, median_ms: 271, signature })).toMatchObject({
      status: 422,
      body: { code: 'bad_signature' },
    })
    expect(await phone.post('/v1/measurements', { ...body, p10_ms: 275, signature })).toMatchObject({
      status: 422,
      body: { code: 'invalid_request', errors: [{ path: expect.stringContaining('median_ms') }] },
    })
    const listed = await user().must('GET', `/v1/measurements?program_sha256=${body.program_sha256}`)
    expect(listed.measurements).toEqual([sent.body])
    expect((await phone.get('/v1/measurements')).status).toBe(403)
  })
})
