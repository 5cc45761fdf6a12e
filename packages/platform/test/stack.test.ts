/**
 * The embedded stack with its real servers, in a state directory of its own. It lies below a 0700 folder: run as root,
 * PostgreSQL's user cannot reach it, so the database lives outside.
 */

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { Redis } from 'ioredis'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  addService,
  chooseFreePorts,
  createS3Client,
  down,
  identify,
  loadConfig,
  type ProcessIdentity,
  removeService,
  type ServiceStatus,
  status,
  up,
  waitForEnd,
} from '../src/index.ts'
import { checkFreeSpace } from '../src/stack/initialise.ts'
import { readStackFile } from '../src/stack/stack-file.ts'

const isRoot = process.getuid?.() === 0
const folder = mkdtempSync(join(tmpdir(), 'limbeck-stack-'))
// Deep enough that the control socket's path is longer than a socket's address may be.
const stateDir = join(
  folder,
  'a-folder-that-makes-the-path-of-the-control-socket-too-long',
  'for-an-address',
  'state',
)
const longLimit = 120_000

/** Everything that a test started and that must be gone at the end, whatever fails. */
const started = new Map<number, ProcessIdentity>()

beforeAll(() => {
  process.env.LIMBECK_STATE_DIR = stateDir
  mkdirSync(stateDir, { recursive: true })
})

afterAll(async () => {
  await down({ erase: true })
  rmSync(folder, { recursive: true, force: true })
}, longLimit)

const serviceOf = (services: readonly ServiceStatus[], name: string): ServiceStatus => {
  const service = services.find((each) => each.name === name)
  if (service === undefined) throw new Error(`no service ${name}`)
  if (service.pid !== null) {
    const identity = identify(service.pid)
    if (identity !== undefined) started.set(service.pid, identity)
  }
  return service
}

/** A process id, and never 0: a signal to 0 goes to the test's own process group. */
const running = (pid: number | null): number => {
  if (pid === null || pid < 2) throw new Error(`expected a running process, got ${pid}`)
  return pid
}

const pidOf = (services: readonly ServiceStatus[], name: string): number =>
  running(serviceOf(services, name).pid)

async function killHard(pid: number): Promise<void> {
  const identity = identify(pid)
  if (identity === undefined) throw new Error(`no process ${pid}`)
  process.kill(pid, 'SIGKILL')
  expect(await waitForEnd(identity, 10_000)).toBe(true)
}

async function occupy(port: number): Promise<Server> {
  const server = createServer()
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return server
}

const value = 'kept'

async function writeEverywhere(): Promise<void> {
  const config = loadConfig()
  const database = new pg.Client({ connectionString: config.database_url })
  await database.connect()
  await database.query('CREATE TABLE IF NOT EXISTS kept (value text)')
  await database.query('INSERT INTO kept VALUES ($1)', [value])
  await database.end()
  const redis = new Redis(config.redis_url)
  await redis.set('kept', value)
  // With `appendfsync everysec` a set is safe from a killed process at once, from a dead machine a second later.
  redis.disconnect()
  const s3 = createS3Client(config.s3)
  await s3.send(new PutObjectCommand({ Bucket: config.s3.bucket, Key: 'kept', Body: value }))
  s3.destroy()
}

async function expectKept(): Promise<void> {
  const config = loadConfig()
  const database = new pg.Client({ connectionString: config.database_url })
  await database.connect()
  const { rows } = await database.query('SELECT DISTINCT value FROM kept')
  await database.end()
  expect(rows).toEqual([{ value }])
  const redis = new Redis(config.redis_url)
  expect(await redis.get('kept')).toBe(value)
  redis.disconnect()
  const s3 = createS3Client(config.s3)
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: config.s3.bucket, Key: 'kept' }))
  expect(await Body?.transformToString()).toBe(value)
  s3.destroy()
}

describe('the embedded stack', () => {
  it('is down before it is up', async () => {
    expect(await status()).toEqual({ running: false, supervisor_pid: null, services: [] })
    await expect(addService({ name: 'nothing', argv: ['/bin/true'], cwd: '/' })).rejects.toThrow(
      /run \.\/limbeck up/,
    )
    expect(await down()).toBe(false)
  })

  it('comes up once for two callers at the same time, and every server does its work', {
    timeout: longLimit,
  }, async () => {
    const [one, two] = await Promise.all([up(), up()])
    expect(one.services.map(({ pid }) => pid)).toEqual(two.services.map(({ pid }) => pid))
    expect(one.services.map(({ name, state }) => [name, state])).toEqual([
      ['postgres', 'healthy'],
      ['valkey', 'healthy'],
      ['s3', 'healthy'],
    ])
    await writeEverywhere()
    await expectKept()
  })

  it('keeps passwords where only its user reads them, and out of arguments', () => {
    const secrets = JSON.parse(readFileSync(join(stateDir, 'secrets'), 'utf8')) as Record<string, string>
    expect(statSync(join(stateDir, 'secrets')).mode & 0o777).toBe(0o600)
    expect(statSync(join(stateDir, 'run')).mode & 0o777).toBe(0o700)
    expect(new Set(Object.values(secrets)).size).toBe(Object.keys(secrets).length)
    for (const secret of Object.values(secrets)) expect(secret).toMatch(/^[A-Za-z0-9]{32}$/)
    const commands = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && existsSync(`/proc/${name}/cmdline`))
      .map((name) => {
        try {
          return readFileSync(`/proc/${name}/cmdline`, 'utf8')
        } catch {
          return '' // It ended meanwhile.
        }
      })
      .join('\n')
    for (const secret of Object.values(secrets)) expect(commands).not.toContain(secret)
  })

  it('listens on loopback only', async () => {
    const { services } = await status()
    const table = readFileSync('/proc/net/tcp', 'utf8') + readFileSync('/proc/net/tcp6', 'utf8')
    const listening = table
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === '0A')
      .map((fields) => fields[1]?.split(':') ?? [])
    const ports = services.flatMap((service) => service.ports)
    for (const port of ports) {
      const addresses = listening
        .filter(([, hex]) => Number.parseInt(hex ?? '', 16) === port)
        .map(([address]) => address)
      expect(addresses, `port ${port}`).toEqual(['0100007F'])
    }
  })

  it('refuses wrong passwords', async () => {
    const config = loadConfig()
    const url = new URL(config.database_url)
    url.password = 'wrong'
    const database = new pg.Client({ connectionString: url.href })
    await expect(database.connect()).rejects.toMatchObject({ code: '28P01' })
    const redis = new Redis(config.redis_url.replace(/:[^:@]*@/, ':wrong@'), {
      lazyConnect: true,
      retryStrategy: () => null,
    })
    redis.on('error', () => {})
    await expect(redis.connect().then(() => redis.get('kept'))).rejects.toThrow()
    redis.disconnect()
    const s3 = createS3Client({ ...config.s3, secret_access_key: 'wrong' }, { maxAttempts: 1 })
    await expect(
      s3.send(new GetObjectCommand({ Bucket: config.s3.bucket, Key: 'kept' })),
    ).rejects.toMatchObject({
      name: 'SignatureDoesNotMatch',
    })
    s3.destroy()
  })

  it.runIf(isRoot)(
    'runs PostgreSQL as an ordinary user, with its data where that user can reach it',
    async () => {
      const account = readStackFile(stateDir)?.postgres_account
      const { services } = await status()
      expect(account?.uid).not.toBe(0)
      expect(statSync(`/proc/${pidOf(services, 'postgres')}`).uid).toBe(account?.uid)
      const outside = account?.outside ?? ''
      expect(lstatSync(outside).isDirectory()).toBe(true)
      expect(statSync(outside).mode & 0o777).toBe(0o700)
      expect(existsSync(join(stateDir, 'data', 'postgres'))).toBe(false)
    },
  )

  it('finds itself when it is up already', { timeout: longLimit }, async () => {
    const before = (await status()).services.map(({ pid }) => pid)
    const again = await up()
    expect(again.started).toBe(false)
    expect(again.services.map(({ pid }) => pid)).toEqual(before)
  })

  it.each(['postgres', 'valkey', 's3'])(
    'starts %s again on its port after kill -9, nothing lost',
    { timeout: longLimit },
    async (name) => {
      const before = (await status()).services
      await killHard(pidOf(before, name))
      const after = (await up()).services
      expect(pidOf(after, name)).not.toBe(pidOf(before, name))
      expect(serviceOf(after, name).ports).toEqual(serviceOf(before, name).ports)
      expect(serviceOf(after, name).restarts).toBe(serviceOf(before, name).restarts + 1)
      await expectKept()
    },
  )

  it('takes the running servers over after kill -9 of the supervisor', { timeout: longLimit }, async () => {
    const before = await status()
    await killHard(running(before.supervisor_pid))
    expect((await status()).running).toBe(false)
    const after = await up()
    expect(after.started).toBe(true)
    expect(after.services.map(({ pid }) => pid)).toEqual(before.services.map(({ pid }) => pid))
    await expectKept()
  })

  it('recovers after kill -9 of everything at once', { timeout: longLimit }, async () => {
    const before = await status()
    const pids = [running(before.supervisor_pid), ...before.services.map(({ pid }) => running(pid))]
    const identities = pids.map((pid) => identify(pid))
    for (const pid of pids) process.kill(pid, 'SIGKILL')
    for (const identity of identities) if (identity !== undefined) await waitForEnd(identity, 10_000)
    await up()
    await expectKept()
  })

  it('refuses to join a stack that was started with other servers', { timeout: longLimit }, async () => {
    process.env.S3_BUCKET = 'another'
    try {
      await expect(up()).rejects.toThrow(
        'the running stack was started with another S3_BUCKET; run ./limbeck down first',
      )
    } finally {
      delete process.env.S3_BUCKET
    }
    expect((await status()).running).toBe(true)
  })
})

describe('services beside the servers', () => {
  const program = `
    import { createServer } from 'node:http'
    createServer((_, response) => response.end(process.env.GREETING)).listen(Number(process.env.PORT), '127.0.0.1')
  `
  const specOf = (port: number, greeting = 'hello') => ({
    name: 'greeter',
    argv: [process.execPath, '--input-type=module', '-e', program],
    cwd: folder,
    env: { PORT: String(port), GREETING: greeting },
    ports: [port],
    health_url: `http://127.0.0.1:${port}/`,
    start_timeout_s: 20,
  })
  const answerOf = async (port: number) => (await fetch(`http://127.0.0.1:${port}/`)).text()
  let port = 0

  beforeAll(async () => {
    port = (await chooseFreePorts(1))[0] ?? 0
  })

  it('run until they work, and adding one again finds it', { timeout: longLimit }, async () => {
    const first = await addService(specOf(port))
    expect(first.state).toBe('healthy')
    expect(await answerOf(port)).toBe('hello')
    expect((await addService(specOf(port))).pid).toBe(first.pid)
  })

  it('are replaced when their description changes', { timeout: longLimit }, async () => {
    await addService(specOf(port, 'good day'))
    expect(await answerOf(port)).toBe('good day')
  })

  it('come back with the stack after kill -9 of them and of the supervisor', {
    timeout: longLimit,
  }, async () => {
    const before = await status()
    await killHard(running(before.supervisor_pid))
    await killHard(pidOf(before.services, 'greeter'))
    const { services } = await up()
    expect(serviceOf(services, 'greeter').state).toBe('healthy')
    expect(await answerOf(port)).toBe('good day')
  })

  it('say what ends them, with the last lines of their log', { timeout: longLimit }, async () => {
    const broken = {
      name: 'broken',
      argv: [process.execPath, '-e', 'console.error("no such recipe"); process.exit(3)'],
      cwd: folder,
    }
    const [free = 0] = await chooseFreePorts(1)
    const failure = addService({ ...broken, health_url: `http://127.0.0.1:${free}/` })
    await expect(failure).rejects.toThrow(
      /broken does not work \(limit 60 s\): ended with status 3\nlast lines of .*broken\.log:\n[\s\S]*no such recipe/,
    )
    await removeService('broken')
    expect((await status()).services.map(({ name }) => name)).not.toContain('broken')
  })

  it('do not hold the servers back when they fail', { timeout: longLimit }, async () => {
    const [taken = 0] = await chooseFreePorts(1)
    const other = await occupy(taken)
    const failing = { ...specOf(taken), name: 'failing' }
    await expect(addService(failing)).rejects.toThrow(`port ${taken} of failing is in use`)
    await killHard(running((await status()).supervisor_pid))
    const { services } = await up()
    expect(services.map(({ name, state }) => [name, state])).toEqual([
      ['postgres', 'healthy'],
      ['valkey', 'healthy'],
      ['s3', 'healthy'],
      ['greeter', 'healthy'],
      ['failing', 'waiting'],
    ])
    expect(serviceOf(services, 'failing').reason).toContain(`port ${taken} of failing is in use`)
    other.close()
    await removeService('failing')
  })

  it('name a port that another process holds, and that process', { timeout: longLimit }, async () => {
    const [taken = 0] = await chooseFreePorts(1)
    const other = await occupy(taken)
    try {
      await expect(addService({ ...specOf(taken), name: 'second' })).rejects.toThrow(
        `port ${taken} of second is in use by process ${process.pid}`,
      )
    } finally {
      other.close()
      await removeService('second')
    }
  })

  it('may not take a server’s name', async () => {
    await expect(addService({ ...specOf(port), name: 'postgres' })).rejects.toThrow(
      /one of the stack's own servers/,
    )
  })
})

describe('going down', () => {
  it('ends what it started and nothing else, and keeps the data', { timeout: longLimit }, async () => {
    const before = await status()
    const pids = [running(before.supervisor_pid), ...before.services.map(({ pid }) => running(pid))]
    const identities = pids.map((pid) => identify(pid))
    expect(identities).not.toContain(undefined)
    expect(await down()).toBe(true)
    for (const identity of identities)
      expect(identify(running(identity?.pid ?? null))?.started).not.toBe(identity?.started)
    expect((await status()).running).toBe(false)
    const { services } = await up()
    expect(services.map(({ name }) => name)).toEqual(['postgres', 'valkey', 's3'])
    await expectKept()
  })

  it('ends what a killed supervisor left behind', { timeout: longLimit }, async () => {
    const before = await status()
    await killHard(running(before.supervisor_pid))
    expect(await down()).toBe(true)
    for (const { pid } of before.services) expect(identify(running(pid))).toBeUndefined()
  })

  it('leaves a stranger alone whose id stands in the records', { timeout: longLimit }, async () => {
    const records = join(stateDir, 'run', 'services.json')
    const stranger = {
      pid: process.pid,
      started: 'at another time',
      spec_digest: 'x',
      stop_signal: 'SIGTERM',
      stop_timeout_s: 1,
    }
    writeFileSync(records, JSON.stringify({ processes: { valkey: stranger }, added: [] }))
    expect(await down()).toBe(false)
  })
})

describe('a start that cannot succeed', () => {
  it('names the port, its server and the process in the way', { timeout: longLimit }, async () => {
    const port = readStackFile(stateDir)?.ports.valkey ?? 0
    const other = await occupy(port)
    try {
      await expect(up()).rejects.toThrow(
        new RegExp(
          `^port ${port} of valkey is in use by process ${process.pid} .*; end it, or choose other ports with \\./limbeck up --new-ports$`,
        ),
      )
      expect((await status()).running).toBe(false)
      const { config } = await up({ newPorts: true })
      expect(new URL(config.redis_url).port).not.toBe(String(port))
      await expectKept()
    } finally {
      other.close()
      await down()
    }
  })

  it('says that the passwords are not the database’s', { timeout: longLimit }, async () => {
    const path = join(stateDir, 'secrets')
    const secrets = readFileSync(path, 'utf8')
    writeFileSync(path, JSON.stringify({ ...JSON.parse(secrets), postgres_admin_password: 'forgotten' }))
    try {
      await expect(up()).rejects.toThrow(
        /was made with another password than .*secrets holds; restore that file/,
      )
    } finally {
      writeFileSync(path, secrets)
    }
  })

  it('shows the last lines of a server that does not answer', { timeout: longLimit }, async () => {
    const cluster = join(
      readStackFile(stateDir)?.postgres_account?.outside ?? join(stateDir, 'data', 'postgres'),
      'cluster',
    )
    const control = join(cluster, 'global', 'pg_control')
    const bytes = readFileSync(control)
    writeFileSync(control, Buffer.alloc(bytes.length))
    try {
      await expect(up()).rejects.toThrow(
        /^postgres does not work[\s\S]*last lines of .*postgres\.log:\n[\s\S]*(control|checksum|FATAL|PANIC)/,
      )
    } finally {
      writeFileSync(control, bytes)
    }
    await up()
    await expectKept()
  })
})

describe('the room on the disk', () => {
  it('is checked before anything starts', () => {
    expect(() => checkFreeSpace(folder)).not.toThrow()
    expect(() => checkFreeSpace(folder, 2 ** 60)).toThrow(
      /^disk full: \/.* has \d+ MiB free; the stack needs 1099511627776 MiB$/,
    )
  })
})

const readableByAll = (path: string): boolean =>
  path === '/' || ((statSync(path).mode & 0o005) === 0o005 && readableByAll(dirname(path)))

// As an ordinary user the tests above have shown it already.
describe.runIf(isRoot && readableByAll(import.meta.dirname) && readableByAll(dirname(process.execPath)))(
  'started by an ordinary user',
  () => {
    it('keeps everything in its folder, under that user', { timeout: longLimit }, () => {
      const nobody = 65_534
      const home = mkdtempSync(join(tmpdir(), 'limbeck-user-'))
      chownSync(home, nobody, nobody)
      const program = `
        import { statSync } from 'node:fs'
        import { down, up } from ${JSON.stringify(join(import.meta.dirname, '../src/index.ts'))}
        const { services } = await up()
        console.log(JSON.stringify(services.map(({ name, state, pid }) => [name, state, statSync('/proc/' + pid).uid])))
        await down()
      `
      const { stdout, stderr } = spawnSync(
        process.execPath,
        ['--input-type=module-typescript', '-e', program],
        {
          cwd: home,
          uid: nobody,
          gid: nobody,
          encoding: 'utf8',
          timeout: longLimit,
          env: { PATH: process.env.PATH, HOME: home, LIMBECK_STATE_DIR: join(home, 'state') },
        },
      )
      expect(stderr).toBe('')
      expect(JSON.parse(stdout)).toEqual([
        ['postgres', 'healthy', nobody],
        ['valkey', 'healthy', nobody],
        ['s3', 'healthy', nobody],
      ])
      expect(readStackFile(join(home, 'state'))?.postgres_account).toBeNull()
      rmSync(home, { recursive: true, force: true })
    })
  },
)

describe('servers of the user’s own', () => {
  it('are used and not started', { timeout: longLimit }, async () => {
    const { database_url } = loadConfig()
    const own = mkdtempSync(join(folder, 'own-'))
    process.env.DATABASE_URL = database_url
    process.env.LIMBECK_STATE_DIR = own
    try {
      const { services, config } = await up()
      expect(services.map(({ name }) => name)).toEqual(['valkey', 's3'])
      expect(config.database_url).toBe(database_url)
      await down()
      process.env.DATABASE_URL = database_url.replace(/:[^:@]*@/, ':wrong-password@')
      const failure = await up().catch((error: Error) => error.message)
      expect(failure).toMatch(
        /^DATABASE_URL: the server at 127\.0\.0\.1:\d+ refuses the password of user "limbeck"$/,
      )
      expect((await status()).running).toBe(false)
    } finally {
      await down({ erase: true })
      delete process.env.DATABASE_URL
      process.env.LIMBECK_STATE_DIR = stateDir
    }
  })
})
