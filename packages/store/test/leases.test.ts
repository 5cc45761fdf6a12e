import { describe, expect, it } from 'vitest'
import {
  cancelRun,
  claimStage,
  completeStage,
  drainWorker,
  enforceTimeouts,
  expireLeases,
  failStage,
  forceCancels,
  getRun,
  heartbeat,
  releaseStage,
  reportCheckpoint,
  retryRun,
  settleVerifications,
  stampApiLiveness,
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

const store = await testStore()
const past = (column: string, stage: string) =>
  store.pool.query(`UPDATE stage SET ${column} = now() - interval '2 h' WHERE id = $1`, [stage])

/** A project with one worker that holds the first stage. */
async function leased(graph: Record<string, string[]> = { a: [] }, changes = {}) {
  const project = await testProject(store)
  const run = await submit(store, project, planOf(graph, changes))
  const worker = await addWorker(store, project)
  const lease = unwrap(await claimStage(store, { project, worker, claim: claimId() }))
  const stage = lease!.stage
  const view = async () => unwrap(await getRun(store, project, run.id))
  return { project, run: run.id, worker, stage, fence: { worker, stage, epoch: lease!.epoch }, view }
}

describe('an outage of the API', () => {
  it('costs nobody an attempt: leases are judged after a whole lease of uptime', async () => {
    const { stage, view } = await leased()
    await past('lease_expires_at', stage)
    await store.pool.query('DELETE FROM api_liveness')
    expect(await expireLeases(store)).toEqual([])
    await stampApiLiveness(store, 'fresh')
    expect(await expireLeases(store)).toEqual([])
    await apiIsUp(store)
    // A gap in the stamps is an outage: the time starts anew.
    await store.pool.query("UPDATE api_liveness SET seen_at = now() - interval '1 minute'")
    await stampApiLiveness(store, 'fresh')
    expect(await expireLeases(store)).toEqual([])
    await apiIsUp(store)
    expect(await expireLeases(store)).toEqual([stage])
    expect((await view()).stages[0]).toMatchObject({ state: 'queued', reason: 'worker_lost' })
  })
})

describe('cancel', () => {
  it('ends what waits at once and what runs with the worker’s word', async () => {
    const { project, run, fence, view } = await leased({ a: [], b: ['a'], c: [] })
    const asked = unwrap(await cancelRun(store, project, run, 'ann'))
    expect(asked.state).toBe('cancelling')
    expect(asked.stages.map(({ state }) => state)).toEqual(['running', 'cancelled', 'cancelled'])
    expect(asked.stages[1]?.message).toContain('ann')
    expect(unwrap(await heartbeat(store, fence, null)).action).toBe('cancel')
    expect((await retryRun(store, project, run, undefined, 'ann')).ok).toBe(false)
    unwrap(await releaseStage(store, fence, { reason: 'cancelled', step: null }))
    expect(await view()).toMatchObject({ state: 'cancelled', stages: [{ reason: 'cancelled' }, {}, {}] })
    unwrap(await cancelRun(store, project, run, 'ann'))
  })

  it('revokes the lease of a worker that does not stop, and says so', async () => {
    const { project, run, fence, stage, view } = await leased()
    await cancelRun(store, project, run, 'ann')
    await apiIsUp(store)
    expect(await forceCancels(store)).toEqual([])
    await past('cancel_deadline', stage)
    expect(await forceCancels(store)).toEqual([stage])
    expect(await view()).toMatchObject({ state: 'cancelled', stages: [{ reason: 'cancel_deadline' }] })
    expect(await heartbeat(store, fence, null)).toMatchObject({ error: { code: 'lease_lost' } })
  })

  it('keeps work that was done when it came, but starts nothing after it', async () => {
    const { project, run, fence, view } = await leased({ a: [], b: ['a'] })
    await cancelRun(store, project, run, 'ann')
    await storeTree(store, sha('done'))
    unwrap(await completeStage(store, fence, { output: sha('done'), result: result() }))
    await settleVerifications(store)
    expect(await view()).toMatchObject({
      state: 'cancelled',
      stages: [{ state: 'succeeded' }, { state: 'cancelled' }],
    })
  })

  it('is refused for a run that has ended otherwise', async () => {
    const { project, run, fence } = await leased()
    await failStage(store, fence, { reason: 'bad_config', message: 'wrong', last_log_lines: [] })
    expect(await cancelRun(store, project, run, 'ann')).toMatchObject({ error: { code: 'conflict' } })
    expect(await cancelRun(store, project, 'run_x', 'ann')).toMatchObject({ error: { code: 'not_found' } })
  })
})

describe('failure and retry', () => {
  it('skips descendants of a failed stage, keeps its last words, and reopens with fresh budgets', async () => {
    const { project, run, fence, view } = await leased({ a: [], b: ['a'], c: ['b'] })
    unwrap(
      await failStage(store, fence, {
        reason: 'out_of_memory',
        message: 'needs 3 GiB',
        last_log_lines: ['x'],
      }),
    )
    const failed = await view()
    expect(failed.state).toBe('failed')
    expect(failed.stages.map(({ state }) => state)).toEqual(['failed', 'skipped', 'skipped'])
    expect(failed.stages[0]).toMatchObject({ reason: 'out_of_memory', last_log_lines: ['x'] })
    expect(failed.stages[0]?.message).toContain('not retried')
    const again = unwrap(await retryRun(store, project, run, ['c'], 'ann'))
    expect(again.stages.map(({ state }) => state)).toEqual(['queued', 'blocked', 'blocked'])
    expect(again.ended_at).toBeNull()
    expect(await retryRun(store, project, run, undefined, 'ann')).toMatchObject({
      error: { code: 'conflict' },
    })
    expect(await retryRun(store, project, run, ['zzz'], 'ann')).toMatchObject({
      error: { code: 'invalid_request', detail: expect.stringContaining('it has a, b, c') },
    })
  })

  it('ends attempts that stall or last too long', async () => {
    await apiIsUp(store)
    const stalled = await leased()
    await past('progress_at', stalled.stage)
    const late = await leased()
    await past('attempt_started_at', late.stage)
    expect(await enforceTimeouts(store)).toEqual([late.stage, stalled.stage])
    expect((await stalled.view()).stages[0]).toMatchObject({ state: 'queued', reason: 'stall' })
    expect((await late.view()).stages[0]).toMatchObject({ state: 'queued', reason: 'timeout' })
  })

  it('counts progress when the step rises, and no beat without it', async () => {
    const { fence, stage } = await leased()
    const beat = (step: number) =>
      heartbeat(store, fence, { step, total: 10, images_per_second: null, loss: Number.NaN })
    await beat(3)
    await past('progress_at', stage)
    await beat(3)
    await apiIsUp(store)
    expect(await enforceTimeouts(store)).toEqual([stage])
  })

  it('hands the newest verified checkpoint to an equal worker only', async () => {
    const { project, fence, stage, worker } = await leased()
    await storeTree(store, sha('at 20'))
    unwrap(await reportCheckpoint(store, fence, { step: 20, digest: sha('at 20') }))
    unwrap(await reportCheckpoint(store, fence, { step: 40, digest: sha('never arrived') }))
    unwrap(await releaseStage(store, fence, { reason: 'preempted', step: 40 }))
    const other = await addWorker(store, project, { code_digest: sha('other code') })
    expect(unwrap(await claimStage(store, { project, worker: other, claim: claimId() }))).toBeNull()
    const lease = unwrap(await claimStage(store, { project, worker, claim: claimId() }))
    expect(lease).toMatchObject({ stage, epoch: 2, resume: { step: 20, digest: sha('at 20') } })
  })

  it('queues again, at the infrastructure’s cost, when the stored output is another one', async () => {
    const { fence, view } = await leased()
    unwrap(await completeStage(store, fence, { output: sha('promised'), result: result() }))
    await settleVerifications(store)
    expect((await view()).stages[0]).toMatchObject({
      state: 'queued',
      reason: 'output_mismatch',
      output: null,
      attempts: [{ outcome: 'failed' }],
    })
  })
})

it('drains a worker: it is told with its beat and gets nothing more', async () => {
  const { project, worker, fence } = await leased({ a: [], b: [] })
  unwrap(await drainWorker(store, project, worker))
  expect(unwrap(await heartbeat(store, fence, null)).action).toBe('drain')
  expect(unwrap(await claimStage(store, { project, worker, claim: claimId() }))).toBeNull()
})

it('says why a stage waits', async () => {
  const project = await testProject(store)
  const run = await submit(store, project, planOf({ a: [], b: ['a'] }, { resource_class: 'gpu-80g' }))
  expect(run.stages.map(({ message }) => message)).toEqual([
    expect.stringContaining('no worker of class gpu-80g'),
    'waits for a',
  ])
})
