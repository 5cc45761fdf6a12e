import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3'
import { createLogger, type ObjectStore, openObjectStore } from '@limbeck/platform'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { cleanUpRound } from '../../apps/orchestrator/src/clean-up.ts'
import { type Plane, showLogOnFailure, startPlane } from './support/plane.ts'
import { ended, runUntil, submit } from './support/runs.ts'
import { TestWorker, treeOf } from './support/worker.ts'

let plane: Plane
beforeAll(async () => {
  plane = await startPlane({ orchestrator: false })
})
beforeEach(() => showLogOnFailure(plane))

const events = (name: string) => plane.lines.filter((line) => line.includes(`"event":"${name}"`)).length

describe('orchestrators', () => {
  it('lead one at a time; the second goes on where the first stopped', async () => {
    const user = plane.as('submitter')
    const worker = await TestWorker.register(plane.as('worker'), 'w')
    const first = await plane.addOrchestrator()
    while (events('leading') === 0) await new Promise((resolve) => setTimeout(resolve, 20))
    await plane.addOrchestrator()
    const { id } = await submit(user)
    const lease = await worker.mustClaim()
    expect(events('leading')).toBe(1)
    await first.stop()
    await worker.complete(lease, { 'a.txt': id })
    expect((await runUntil(user, id, ended)).state).toBe('succeeded')
    expect(events('leading')).toBe(2)
  })
})

describe('clean-up', () => {
  const log = createLogger({ level: 'silent', service: 'test' })
  let store: ObjectStore
  beforeAll(() => {
    store = openObjectStore(plane.config.s3)
  })
  afterAll(() => store.destroy())

  it('gives back uploads that nobody can finish any more, and leaves the others', async () => {
    const user = plane.as('submitter')
    const [old, fresh] = await Promise.all(
      ['old', 'fresh'].map(async (text) => {
        const [[sha256, { bytes }]] = treeOf({ 'a.txt': text }).blobs as unknown as [
          [string, { bytes: Buffer }],
        ]
        const { tickets } = await user.must('POST', '/v1/uploads', {
          blobs: [{ sha256, size: bytes.length }],
        })
        return { ...tickets[0], bytes }
      }),
    )
    await plane.store.pool.query(`UPDATE upload SET updated_at = now() - interval '8 hours' WHERE id = $1`, [
      old.upload,
    ])
    for (const { parts, bytes } of [old, fresh])
      await fetch(parts[0].url, { method: 'PUT', body: new Uint8Array(bytes) })
    await cleanUpRound(plane.store, store, log)
    const { Uploads = [] } = await store.client.send(
      new ListMultipartUploadsCommand({ Bucket: store.bucket }),
    )
    expect(Uploads.map(({ Key }) => Key)).toEqual([`objects/${fresh.upload}`])
    const { rows } = await plane.store.pool.query(
      'SELECT state FROM upload WHERE id = ANY($1) ORDER BY created_at',
      [[old.upload, fresh.upload]],
    )
    expect(rows.map((row) => row.state)).toEqual(['aborted', 'pending'])
  })

  it('forgets keys and codes that have expired', async () => {
    await plane.as('admin').must('POST', '/v1/session-codes')
    const { pool } = plane.store
    await pool.query(`INSERT INTO idempotency_key (scope, key, request_hash, expires_at)
      VALUES ('s', 'gone', 'h', now() - interval '1 second'), ('s', 'kept', 'h', now() + interval '1 hour')`)
    await pool.query(`UPDATE login_code SET expires_at = now() - interval '2 hours'`)
    await cleanUpRound(plane.store, store, log)
    const keys = await pool.query(`SELECT key FROM idempotency_key WHERE scope = 's'`)
    expect(keys.rows).toEqual([{ key: 'kept' }])
    expect((await pool.query('SELECT FROM login_code')).rowCount).toBe(0)
  })
})
