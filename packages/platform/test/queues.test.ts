import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Redis } from 'ioredis'
import { afterAll, describe, expect, it } from 'vitest'
import { stackConfig, testRedisPrefix } from '../../../tests/support/stack.ts'
import {
  checkQueueName,
  chooseFreePorts,
  closeWithin,
  loadLocalConfig,
  openQueue,
  openWorker,
  probeValkey,
  producerConnection,
  workerConnection,
} from '../src/index.ts'
import { valkeyBinary } from '../src/stack/binaries.ts'

const url = stackConfig().redis_url
const prefix = testRedisPrefix()
const connections: Redis[] = []
const producer = () => connections[connections.push(producerConnection(url)) - 1] as Redis
const consumer = () => connections[connections.push(workerConnection(url)) - 1] as Redis

afterAll(() => {
  for (const connection of connections) connection.disconnect()
})

const ready = (connection: Redis) =>
  connection.status === 'ready'
    ? Promise.resolve()
    : new Promise<void>((resolve) => connection.once('ready', () => resolve()))

describe('queues', () => {
  it('carry jobs with delay and priority, and keep a limited number of finished ones', async () => {
    const connection = producer()
    await ready(connection)
    const queue = openQueue<{ n: number }, number>('dispatch-cpu', { connection, prefix })
    await queue.add('claim', { n: 1 }, { delay: 50 })
    await queue.add('claim', { n: 2 }, { priority: 5 })
    await queue.add('claim', { n: 3 }, { priority: 1 })
    const seen: number[] = []
    const done = Promise.withResolvers<void>()
    const worker = openWorker<{ n: number }, number>(
      'dispatch-cpu',
      async ({ data }) => {
        seen.push(data.n)
        if (seen.length === 3) done.resolve()
        return data.n
      },
      { connection: consumer(), prefix, onError: (error) => done.reject(error) },
    )
    await done.promise
    expect(seen.sort()).toEqual([1, 2, 3])
    expect(
      (await queue.getJobs(['completed', 'active'])).map(({ opts }) => opts.removeOnComplete),
    ).toContainEqual({
      count: 1_000,
      age: 3_600,
    })
    await closeWithin(
      5_000,
      () => worker.close(),
      () => queue.close(),
    )
  })

  it('live under their own prefix', async () => {
    const connection = producer()
    await ready(connection)
    const mine = openQueue('one', { connection, prefix })
    const other = openQueue('one', { connection, prefix: testRedisPrefix() })
    await mine.add('job', {})
    expect(await mine.count()).toBe(1)
    expect(await other.count()).toBe(0)
    await closeWithin(
      5_000,
      () => mine.close(),
      () => other.close(),
    )
  })

  it.each(['with:colon', 'UPPER', '', 'a b'])('refuse the name "%s"', (name) => {
    expect(() => checkQueueName(name)).toThrow(/allowed: 1-64/)
  })

  it('fail at once in a producer while the server is away', async () => {
    const away = producerConnection('redis://127.0.0.1:1/0')
    connections.push(away)
    const queue = openQueue('away', { connection: away, prefix })
    const started = performance.now()
    await expect(queue.add('job', {})).rejects.toThrow()
    // Far below any time-out: nothing waits for the server to come back.
    expect(performance.now() - started).toBeLessThan(4_000)
    await closeWithin(1_000, () => queue.close())
  })

  it('end their closing in time while the server is away', async () => {
    const worker = openWorker('away', async () => {}, {
      connection: workerConnection('redis://127.0.0.1:1/0'),
      prefix,
      onError: () => {},
    })
    const started = performance.now()
    await closeWithin(300, () => worker.close())
    expect(performance.now() - started).toBeLessThan(2_000)
    await worker.close(true)
  })
})

describe('the eviction policy', () => {
  it('must be noeviction: a server with another is refused by name', async () => {
    await expect(probeValkey(url)).resolves.toBeUndefined()
    const [port = 0] = await chooseFreePorts(1)
    const folder = mkdtempSync(join(tmpdir(), 'limbeck-valkey-'))
    const server = spawn(
      valkeyBinary(loadLocalConfig().python),
      ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--maxmemory-policy', 'allkeys-lru'],
      { cwd: folder, stdio: 'ignore' },
    )
    try {
      const other = `redis://127.0.0.1:${port}/0`
      const client = workerConnection(other)
      await ready(client)
      client.disconnect()
      await expect(probeValkey(other)).rejects.toThrow(
        `REDIS_URL: the server at 127.0.0.1:${port} has maxmemory-policy "allkeys-lru"; only "noeviction" keeps queued jobs`,
      )
    } finally {
      server.kill('SIGKILL')
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
