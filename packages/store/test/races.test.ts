import { expect, it } from 'vitest'
import {
  claimStage,
  completeStage,
  expireLeases,
  failStage,
  heartbeat,
  ingestMetrics,
  settleVerifications,
} from '../src/index.ts'
import {
  addWorker,
  apiIsUp,
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

const store = await testStore({ max_connections: 25 })

it('gives each stage to one of 20 workers that claim at once', async () => {
  const project = await testProject(store)
  const graph = Object.fromEntries(Array.from({ length: 15 }, (_, index) => [`s${index}`, []]))
  await submit(store, project, planOf(graph))
  const workers = await Promise.all(Array.from({ length: 20 }, () => addWorker(store, project)))
  const leases = await Promise.all(
    workers.map(async (worker) => unwrap(await claimStage(store, { project, worker, claim: claimId() }))),
  )
  const stages = leases.filter((lease) => lease !== null).map((lease) => lease.stage)
  expect(stages).toHaveLength(15)
  expect(new Set(stages).size).toBe(15)
})

it('answers a claim that is repeated at the same moment with one lease', async () => {
  const project = await testProject(store)
  await submit(store, project, planOf({ a: [], b: [] }))
  const worker = await addWorker(store, project)
  const claim = claimId()
  const leases = await Promise.all(
    Array.from({ length: 8 }, async () => unwrap(await claimStage(store, { project, worker, claim }))),
  )
  expect(new Set(leases.map((lease) => `${lease?.stage} ${lease?.epoch}`)).size).toBe(1)
})

it('refuses a zombie: the one that lost its lease changes nothing', async () => {
  const project = await testProject(store)
  await apiIsUp(store)
  const { stages } = await submit(store, project, planOf({ a: [] }))
  const stage = stages[0]!.id
  const [zombie, heir] = [await addWorker(store, project), await addWorker(store, project)]
  await claimStage(store, { project, worker: zombie, claim: claimId() })
  await store.pool.query("UPDATE stage SET lease_expires_at = now() - interval '1 s' WHERE id = $1", [stage])
  expect(await expireLeases(store)).toContain(stage)
  const lease = unwrap(await claimStage(store, { project, worker: heir, claim: claimId() }))
  expect(lease?.epoch).toBe(2)

  const stale = { worker: zombie, stage, epoch: 1 }
  const output = { output: sha('of the zombie'), result: result() }
  for (const answer of [
    await completeStage(store, stale, output),
    await failStage(store, stale, { reason: 'error', message: '', last_log_lines: [] }),
    await heartbeat(store, stale, null),
    // Guessing the new epoch does not help: the lease names its worker.
    await completeStage(store, { ...stale, epoch: 2 }, output),
    await heartbeat(store, { ...stale, epoch: 2 }, null),
  ])
    expect(answer).toMatchObject({ ok: false, error: { code: 'lease_lost' } })
  // Its last metrics explain the crash and are still taken, under its own attempt.
  const batch = { sequence: 0, scalars: [{ name: 'loss', steps: [1], values: [1] }], arrays: [] }
  expect((await ingestMetrics(store, zombie, stage, { epoch: 1, ...batch })).ok).toBe(true)
  expect((await ingestMetrics(store, zombie, stage, { epoch: 2, ...batch })).ok).toBe(false)

  await storeTree(store, sha('of the heir'))
  const good = { worker: heir, stage, epoch: 2 }
  unwrap(await completeStage(store, good, { output: sha('of the heir'), result: result() }))
  await settleVerifications(store)
  const { rows } = await store.pool.query('SELECT state, output_digest FROM stage WHERE id = $1', [stage])
  expect(rows).toEqual([{ state: 'succeeded', output_digest: sha('of the heir') }])
})

it('ends an attempt once when completion, expiry and failure come together', async () => {
  const project = await testProject(store)
  await apiIsUp(store)
  const { stages } = await submit(store, project, planOf({ a: [], b: ['a'] }))
  const stage = stages[0]!.id
  const worker = await addWorker(store, project)
  const lease = unwrap(await claimStage(store, { project, worker, claim: claimId() }))
  const fence = { worker, stage, epoch: lease?.epoch ?? 0 }
  await store.pool.query("UPDATE stage SET lease_expires_at = now() - interval '1 s' WHERE id = $1", [stage])
  await Promise.all([
    completeStage(store, fence, { output: sha('x'), result: result() }),
    expireLeases(store),
    expireLeases(store),
    failStage(store, fence, { reason: 'error', message: '', last_log_lines: [] }),
  ])
  const { rows } = await store.pool.query(
    "SELECT payload->>'from' AS from FROM event WHERE stage_id = $1 AND payload->>'from' = 'running'",
    [stage],
  )
  expect(rows).toHaveLength(1)
})

it('starts successors once when settlements race', async () => {
  const project = await testProject(store)
  const { stages } = await submit(store, project, planOf({ a: [], b: ['a'] }))
  const worker = await addWorker(store, project)
  await claimStage(store, { project, worker, claim: claimId() })
  await storeTree(store, sha('a'))
  const fence = { worker, stage: stages[0]!.id, epoch: 1 }
  unwrap(await completeStage(store, fence, { output: sha('a'), result: result() }))
  await Promise.all(Array.from({ length: 6 }, () => settleVerifications(store)))
  const { rows } = await store.pool.query(
    "SELECT payload->>'command' AS command FROM event WHERE stage_id = $1",
    [stages[1]!.id],
  )
  expect(rows).toEqual([{ command: 'unblock' }])
})
