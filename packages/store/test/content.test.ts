import { expect, it } from 'vitest'
import {
  artifactStates,
  createAsset,
  createLoginCode,
  createToken,
  createUpload,
  findArtifacts,
  findToken,
  leaveLeadership,
  listAssets,
  listCompletedUploads,
  listStaleUploads,
  listTokens,
  markUploadCompleted,
  newId,
  newTokenSecret,
  readEvents,
  useLoginCode as redeem,
  relayEvents,
  revokeToken,
  settleUpload,
  takeLeadership,
} from '../src/index.ts'
import { planOf, sha, storeTree, submit, testProject, testStore, unwrap } from './support/stores.ts'

const store = await testStore()

async function upload(project: string, content: string, kind: 'blob' | 'tree' = 'blob') {
  const id = newId('upl')
  await createUpload(store, {
    ...{ id, project, sha256: sha(content), size: content.length, kind, object_key: `uploads/${id}` },
    ...{ multipart_id: 'm', part_size: 1024, owner: 'wrk_1' },
  })
  return id
}

it('maps a digest to the object that was hashed first, and to no other', async () => {
  const project = await testProject(store)
  const [first, second, wrong, lost] = await Promise.all(
    ['same', 'same', 'wrong', 'lost'].map((content) => upload(project, content)),
  )
  for (const id of [first, second, wrong]) unwrap(await markUploadCompleted(store, id!))
  unwrap(await markUploadCompleted(store, first!))
  const states = await artifactStates(store, [sha('same'), sha('lost')])
  expect([states.get(sha('same')), states.get(sha('lost'))]).toEqual(['pending', 'absent'])
  expect((await listCompletedUploads(store, 100)).map(({ id }) => id)).toEqual(
    expect.arrayContaining([first, second, wrong]),
  )
  const verified = { state: 'verified' as const, manifest: null }
  expect(unwrap(await settleUpload(store, first!, verified))).toEqual({ keep: true })
  expect(unwrap(await settleUpload(store, first!, verified))).toEqual({ keep: true })
  expect(unwrap(await settleUpload(store, second!, verified))).toEqual({ keep: false })
  expect(unwrap(await settleUpload(store, wrong!, { state: 'mismatch', found: sha('x') }))).toEqual({
    keep: false,
  })
  expect(await markUploadCompleted(store, wrong!)).toMatchObject({ error: { code: 'artifact_mismatch' } })
  expect(await settleUpload(store, lost!, verified)).toMatchObject({ error: { code: 'conflict' } })
  expect(await findArtifacts(store, [sha('same'), sha('wrong')])).toMatchObject([
    { digest: sha('same'), object_key: `uploads/${first}`, size: 4, kind: 'blob', manifest: null },
  ])
  expect((await listStaleUploads(store, 0, 100)).map(({ id }) => id)).toContain(lost)
  expect(await listStaleUploads(store, 60, 100)).toEqual([])
})

it('keeps an asset’s name for one content', async () => {
  const project = await testProject(store)
  const asset = { name: 'shapes', kind: 'dataset' as const, digest: sha('tree'), licence: 'own' }
  expect(await createAsset(store, project, asset, 'ann')).toMatchObject({
    error: { code: 'unknown_artifact' },
  })
  await storeTree(store, sha('tree'))
  await storeTree(store, sha('tree 2'))
  unwrap(await createAsset(store, project, asset, 'ann'))
  expect(unwrap(await createAsset(store, project, asset, 'bob')).created_by).toBe('ann')
  expect(await createAsset(store, project, { ...asset, digest: sha('tree 2') }, 'ann')).toMatchObject({
    error: { code: 'asset_exists' },
  })
  expect(await listAssets(store, project)).toHaveLength(1)
})

it('knows a token by its secret alone, until it is revoked or expires', async () => {
  const project = await testProject(store)
  const secret = newTokenSecret()
  const make = (name: string, text: string, days: number | null) =>
    createToken(store, { project, name, scopes: ['submitter'], expires_days: days, secret: text })
  const token = await make('ci', secret, null)
  const short = newTokenSecret()
  const expiring = await make('short', short, 1)
  expect(await findToken(store, secret)).toMatchObject({ id: token.id, scopes: ['submitter'], project })
  expect(await findToken(store, `${secret}x`)).toBeNull()
  const stored = await store.pool.query('SELECT row_to_json(token)::text AS text FROM token')
  expect(stored.rows.some(({ text }) => text.includes(secret.slice(12)))).toBe(false)
  unwrap(await revokeToken(store, project, token.id))
  expect(await findToken(store, secret)).toBeNull()
  await store.pool.query("UPDATE token SET expires_at = now() - interval '1 s' WHERE id = $1", [expiring.id])
  expect(await findToken(store, short)).toBeNull()
  expect((await listTokens(store, project)).map(({ name }) => name)).toEqual(['short', 'ci'])
  expect(await revokeToken(store, 'another', token.id)).toMatchObject({ error: { code: 'not_found' } })
})

it('redeems a login code once', async () => {
  const project = await testProject(store)
  const secret = newTokenSecret()
  await createLoginCode(store, { secret, project, scopes: ['viewer'], expires_seconds: 60 })
  const tries = await Promise.all(Array.from({ length: 5 }, () => redeem(store, secret)))
  expect(tries.filter((found) => found !== null)).toEqual([{ project, scopes: ['viewer'] }])
})

it('gives leadership to one holder until it expires or leaves', async () => {
  const take = (holder: string, seconds = 60) => takeLeadership(store, 'reconciler', holder, seconds)
  expect([await take('a'), await take('b'), await take('a')]).toEqual([true, false, true])
  await store.pool.query("UPDATE leader SET expires_at = now() - interval '1 s'")
  expect([await take('b'), await take('a')]).toEqual([true, false])
  await leaveLeadership(store, 'reconciler', 'b')
  expect(await take('a')).toBe(true)
})

it('never shows an event that an earlier, still open transaction could overtake', async () => {
  const project = await testProject(store)
  const early = await store.pool.connect()
  try {
    await early.query('BEGIN')
    await early.query("INSERT INTO event (project, type, payload) VALUES ($1, 'early', '{}')", [project])
    await submit(store, project, planOf({ a: [] }))
    const feed = async (after = '') => unwrap(await readEvents(store, { project, after, limit: 100 }))
    expect(await feed()).toEqual([])
    await early.query('COMMIT')
    // Transactions of other databases on the server hold the feed back too, for as long as they are open.
    await expect.poll(async () => (await feed()).length, { timeout: 20_000, interval: 50 }).toBe(3)
    const events = await feed()
    expect(events.map(({ type }) => type)).toEqual(['early', 'run.created', 'stage.changed'])
    expect((await feed(events[0]?.cursor)).map(({ type }) => type)).toEqual(['run.created', 'stage.changed'])
    expect(events[2]?.payload).toMatchObject({ from: 'blocked', state: 'queued', resource_class: 'cpu' })
    expect(await readEvents(store, { after: 'x', limit: 1 })).toMatchObject({
      error: { code: 'invalid_request' },
    })
  } finally {
    early.release()
  }
})

it('delivers an event again when its delivery failed, and not after it succeeded', async () => {
  const project = await testProject(store)
  const drain = async () => {
    while ((await relayEvents(store, 1000, async () => {})) > 0);
  }
  await drain()
  await submit(store, project, planOf({ a: [] }))
  await expect(
    relayEvents(store, 100, async () => {
      throw new Error('the queue is away')
    }),
  ).rejects.toThrow('the queue is away')
  const types: string[] = []
  const count = await relayEvents(store, 100, async (events) => {
    types.push(...events.map(({ type }) => type))
  })
  expect([count, types]).toEqual([2, ['run.created', 'stage.changed']])
  expect(await relayEvents(store, 100, async () => {})).toBe(0)
})
