import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { chooseFreePorts, repositoryRoot } from '@limbeck/platform'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Client } from './support/client.ts'
import { type Plane, startPlane } from './support/plane.ts'
import { ended, runUntil, submit } from './support/runs.ts'
import { TestWorker } from './support/worker.ts'

let plane: Plane
const children: ChildProcess[] = []
beforeAll(async () => {
  plane = await startPlane({ orchestrator: false })
})
afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
})

class Program {
  readonly child: ChildProcess
  output = ''
  #changed = Promise.withResolvers<void>()

  constructor(entry: string, environment: Record<string, string>) {
    const { database_url, redis_url, s3 } = plane.config
    this.child = spawn(process.execPath, [join(repositoryRoot, entry)], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        DATABASE_URL: database_url,
        REDIS_URL: redis_url,
        S3_ENDPOINT: s3.endpoint,
        S3_BUCKET: s3.bucket,
        S3_ACCESS_KEY_ID: s3.access_key_id,
        S3_SECRET_ACCESS_KEY: s3.secret_access_key,
        LOG_LEVEL: 'info',
        ...environment,
      },
    })
    children.push(this.child)
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on('data', (chunk) => {
        this.output += chunk
        this.#changed.resolve()
        this.#changed = Promise.withResolvers()
      })
  }

  async until(text: string): Promise<void> {
    while (!this.output.includes(text)) {
      if (this.child.exitCode !== null) throw new Error(`ended with ${this.child.exitCode}: ${this.output}`)
      await Promise.race([this.#changed.promise, once(this.child, 'exit')])
    }
  }

  async end(signal?: NodeJS.Signals): Promise<number | null> {
    if (signal) this.child.kill(signal)
    if (this.child.exitCode === null) await once(this.child, 'exit')
    return this.child.exitCode
  }
}

const freePort = async (): Promise<string> => String((await chooseFreePorts(1))[0])

describe('the processes', () => {
  it('say one line when they work, carry a run, and end in order on SIGTERM', async () => {
    const port = await freePort()
    const api = new Program('apps/api/src/main.ts', { LIMBECK_API_PORT: port })
    const orchestrator = new Program('apps/orchestrator/src/main.ts', { LIMBECK_API_PORT: port })
    await Promise.all([api.until('"event":"listening"'), orchestrator.until('"event":"started"')])
    const url = `http://127.0.0.1:${port}`
    const user = new Client(url, plane.secrets.submitter)
    const { id } = await submit(user)
    const worker = await TestWorker.register(new Client(url, plane.secrets.worker), 'w')
    await worker.complete(await worker.mustClaim(), { 'a.txt': id })
    expect((await runUntil(user, id, ended)).state).toBe('succeeded')
    expect(await Promise.all([api.end('SIGTERM'), orchestrator.end('SIGTERM')])).toEqual([0, 0])
    for (const { output } of [api, orchestrator]) {
      expect(output).toContain('"event":"stopped"')
      for (const secret of Object.values(plane.secrets)) expect(output).not.toContain(secret)
    }
  })

  it('that cannot start say why in a line, without a password', async () => {
    const url = new URL(plane.config.database_url)
    url.password = 'wrong-password'
    const port = await freePort()
    const refused = ['apps/api/src/main.ts', 'apps/orchestrator/src/main.ts'].map(
      (entry) => new Program(entry, { DATABASE_URL: url.href, LIMBECK_API_PORT: port }),
    )
    for (const program of refused) {
      expect(await program.end()).toBe(1)
      expect(program.output).toContain('the database refuses the password')
      expect(program.output).not.toContain('wrong-password')
    }

    const holder = createServer()
    await new Promise<void>((resolve) => holder.listen(Number(port), '127.0.0.1', resolve))
    const second = new Program('apps/api/src/main.ts', { LIMBECK_API_PORT: port })
    expect(await second.end()).toBe(1)
    expect(second.output).toContain(`address already in use 127.0.0.1:${port}`)
    holder.close()
  })
})
