import { expect, it } from 'vitest'
import { claimStage, completeStage, getRun, settleVerifications, submitRun } from '../src/index.ts'
import {
  addWorker,
  claimId,
  planOf,
  result,
  sha,
  storeTree,
  submit,
  testProject,
  testStore,
  unwrap,
} from './support/stores.ts'

const store = await testStore()

async function finish(project: string, worker: Awaited<ReturnType<typeof addWorker>>) {
  const lease = unwrap(await claimStage(store, { project, worker, claim: claimId() }))
  if (lease === null) return null
  const output = sha(`${project} ${lease.name}`)
  await storeTree(store, output)
  const fence = { worker, stage: lease.stage, epoch: lease.epoch }
  unwrap(await completeStage(store, fence, { output, result: result({ psnr_db: 30 }) }))
  await settleVerifications(store)
  return lease.name
}

it('takes verified outputs of identical stages, in a whole chain at one claim', async () => {
  const project = await testProject(store)
  const worker = await addWorker(store, project)
  const plan = planOf({ a: [], b: ['a'] })
  const first = await submit(store, project, plan, { cache: 'use' })
  expect([await finish(project, worker), await finish(project, worker)]).toEqual(['a', 'b'])
  const second = await submit(store, project, plan, { cache: 'use' })
  expect(await finish(project, worker)).toBeNull()
  const [one, two] = [
    unwrap(await getRun(store, project, first.id)),
    unwrap(await getRun(store, project, second.id)),
  ]
  expect(two.state).toBe('succeeded')
  expect(two.stages.map(({ cached, epoch }) => ({ cached, epoch }))).toEqual([
    { cached: true, epoch: 0 },
    { cached: true, epoch: 0 },
  ])
  expect(two.stages.map(({ output, result }) => ({ output, result }))).toEqual(
    one.stages.map(({ output, result }) => ({ output, result })),
  )
})

it('does not take it for other code, another salt, another project, off or refresh', async () => {
  const project = await testProject(store)
  const worker = await addWorker(store, project)
  const plan = planOf({ a: [] })
  await submit(store, project, plan, { cache: 'use' })
  await finish(project, worker)
  for (const cache of ['off', 'refresh'] as const) {
    await submit(store, project, plan, { cache })
    expect(await finish(project, worker)).toBe('a')
  }
  await submit(store, project, plan, { cache: 'use', cache_salt: 'other' })
  expect(await finish(project, worker)).toBe('a')
  await submit(store, project, plan, { cache: 'use' })
  expect(await finish(project, await addWorker(store, project, { code_digest: sha('new code') }))).toBe('a')
  const stranger = await testProject(store)
  await submit(store, stranger, plan, { cache: 'use' })
  expect(await finish(stranger, await addWorker(store, stranger))).toBe('a')
})

it('computes two identical stages in flight once', async () => {
  const project = await testProject(store)
  const [one, two] = [await addWorker(store, project), await addWorker(store, project)]
  const plan = planOf({ a: [] })
  await submit(store, project, plan, { cache: 'use' })
  const later = await submit(store, project, plan, { cache: 'use' })
  const lease = unwrap(await claimStage(store, { project, worker: one, claim: claimId() }))
  expect(unwrap(await claimStage(store, { project, worker: two, claim: claimId() }))).toBeNull()
  const output = sha('once')
  await storeTree(store, output)
  unwrap(
    await completeStage(store, { worker: one, stage: lease!.stage, epoch: 1 }, { output, result: result() }),
  )
  expect(unwrap(await claimStage(store, { project, worker: two, claim: claimId() }))).toBeNull()
  await settleVerifications(store)
  expect(unwrap(await claimStage(store, { project, worker: two, claim: claimId() }))).toBeNull()
  expect(unwrap(await getRun(store, project, later.id))).toMatchObject({
    state: 'succeeded',
    stages: [{ cached: true, output }],
  })
})

it('finds work behind many stages that wait for their identical twin', async () => {
  const project = await testProject(store)
  const [one, two] = [await addWorker(store, project), await addWorker(store, project)]
  for (let count = 0; count < 8; count++) await submit(store, project, planOf({ a: [] }), { cache: 'use' })
  const behind = await submit(store, project, planOf({ a: [] }), { cache: 'use', cache_salt: 'behind' })
  unwrap(await claimStage(store, { project, worker: one, claim: claimId() }))
  expect(unwrap(await claimStage(store, { project, worker: two, claim: claimId() }))?.run).toBe(behind.id)
})

it('gives the higher priority first, then the older run', async () => {
  const project = await testProject(store)
  const worker = await addWorker(store, project)
  const runs = []
  for (const priority of [50, 50, 60])
    runs.push((await submit(store, project, planOf({ a: [] }), { priority })).id)
  const order = []
  for (let count = 0; count < 3; count++)
    order.push(unwrap(await claimStage(store, { project, worker, claim: claimId() }))?.run)
  expect(order).toEqual([runs[2], runs[0], runs[1]])
})

it('replays a submission under its idempotency key, also when sent twice at once', async () => {
  const project = await testProject(store)
  const send = (hash: string) =>
    submitRun(store, {
      ...{ project, submitted_by: 'ann', plan: planOf({ a: [] }), overrides: {}, label: '', priority: 50 },
      ...{ cache: 'use' as const, cache_salt: '', idempotency: { key: 'k', request_hash: sha(hash) } },
    })
  const both = (await Promise.all([send('one'), send('one')])).map(unwrap)
  expect(both[0]?.run.id).toBe(both[1]?.run.id)
  expect(both.map(({ replayed }) => replayed).sort()).toEqual([false, true])
  expect(await send('two')).toMatchObject({ error: { code: 'idempotency_key_reused' } })
})

it('names assets that are not registered, and leaves the key for the corrected request', async () => {
  const project = await testProject(store)
  const submission = {
    ...{ project, submitted_by: 'ann', overrides: {}, label: '', priority: 50, cache: 'use' as const },
    ...{ cache_salt: '', idempotency: { key: 'k', request_hash: sha('one') } },
  }
  const plan = planOf({ a: [] })
  expect(await submitRun(store, { ...submission, plan: { ...plan, assets: ['nowhere'] } })).toMatchObject({
    error: { code: 'unknown_asset', detail: expect.stringContaining('nowhere') },
  })
  expect(unwrap(await submitRun(store, { ...submission, plan })).replayed).toBe(false)
})
