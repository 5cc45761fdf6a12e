/** The embedded PostgreSQL: cluster creation, start, health. */
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { runCommand } from '../process/command.ts'
import { identify } from '../process/identity.ts'
import { ensureSecrets, secretsPath } from '../secrets.ts'
import { postgresInstallation } from './binaries.ts'
import { StackError, StillStarting } from './errors.ts'
import { stackPaths } from './paths.ts'
import { probePostgres } from './probes.ts'
import type { EmbeddedServer } from './server.ts'
import { ServiceSpec } from './service.ts'
import type { StackFile } from './stack-file.ts'

const ADMIN = 'postgres'
/** Owns the application's database; no superuser, so that no SQL of ours can reach the machine's files. */
const ROLE = 'limbeck'

const settings: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  // TCP alone: a socket's path may not exceed 107 bytes, and a checkout's folder may.
  unix_socket_directories: '',
  password_encryption: 'scram-sha-256',
  max_connections: '200',
  shared_buffers: '64MB',
  // Short statements on small tables: compiling a plan costs more than it saves.
  jit: 'off',
  max_wal_size: '512MB',
  log_line_prefix: '%m [%p] ',
  log_checkpoints: 'off',
}

export function embeddedPostgres(options: {
  stateDir: string
  stack: StackFile
  python: string
}): EmbeddedServer {
  const { stateDir, stack } = options
  const account = stack.postgres_account
  const identity = account === null ? {} : { uid: account.uid, gid: account.gid }
  const home = account?.outside ?? stackPaths(stateDir).data('postgres')
  const data = join(home, 'cluster')
  const installation = postgresInstallation(options.python)
  // Where the account cannot reach the data's natural place it cannot reach the programs either.
  const copy = join(home, `programs-${installation.version}`)
  const programs =
    account?.outside == null ? installation.folder : join(copy, 'embedded_postgres', 'pginstall')
  const env = { PATH: '/usr/bin:/bin', LANG: 'C.UTF-8', HOME: home, TZ: 'UTC' }
  const port = stack.ports.postgres

  const own = (path: string) => {
    if (account !== null) chownSync(path, account.uid, account.gid)
  }

  async function prepare(): Promise<void> {
    mkdirSync(home, { recursive: true })
    own(home)
    chmodSync(home, 0o700)
    copyPrograms()
    if (!existsSync(join(data, 'PG_VERSION'))) await createCluster()
    const version = readFileSync(join(data, 'PG_VERSION'), 'utf8').trim()
    if (!installation.version.startsWith(`${version}.`))
      throw new StackError(
        'wrong_setting',
        `the database in ${data} was made by PostgreSQL ${version}; installed is ${installation.version}, which cannot read it`,
      )
    await removeStalePidFile(data)
  }

  /** The programs find libraries relative to their own place: both go under the same names. */
  function copyPrograms(): void {
    if (programs === installation.folder || existsSync(copy)) return
    const draft = `${copy}.part`
    rmSync(draft, { recursive: true, force: true })
    const packages = dirname(dirname(installation.folder))
    for (const name of ['embedded_postgres/pginstall', 'embedded_postgres.libs'])
      if (existsSync(join(packages, name)))
        cpSync(join(packages, name), join(draft, name), { recursive: true, verbatimSymlinks: true })
    renameSync(draft, copy)
  }

  /** Made under another name and renamed, so that an interrupted start leaves no half cluster. */
  async function createCluster(): Promise<void> {
    const { postgres_admin_password } = await ensureSecrets(stateDir, { postgres_admin_password: undefined })
    const draft = join(home, 'cluster.part')
    const passwordFile = join(home, 'initdb.password')
    rmSync(draft, { recursive: true, force: true })
    rmSync(passwordFile, { force: true })
    writeFileSync(passwordFile, postgres_admin_password, { mode: 0o600, flag: 'wx' })
    own(passwordFile)
    try {
      await runCommand(
        [
          join(programs, 'bin/initdb'),
          ...['-D', draft, '-U', ADMIN, '-A', 'scram-sha-256', `--pwfile=${passwordFile}`],
          ...['--locale=C', '--encoding=UTF8', '--data-checksums'],
        ],
        { env, cwd: home, timeoutMs: 120_000, ...identity },
      )
    } finally {
      rmSync(passwordFile, { force: true })
    }
    renameSync(draft, data)
  }

  /** Makes role and database where absent, and sets the role's password to the recorded one. */
  async function bootstrap(password: string, adminPassword: string): Promise<void> {
    const client = new pg.Client({
      host: '127.0.0.1',
      port,
      user: ADMIN,
      password: adminPassword,
      database: 'postgres',
      connectionTimeoutMillis: 5_000,
      query_timeout: 20_000,
    })
    client.on('error', () => {})
    await client.connect().catch((error: Error & { code?: string }) => {
      if (error.code !== '28P01') throw error
      throw new StackError(
        'wrong_password',
        `the database in ${data} was made with another password than ${secretsPath(stateDir)} holds; restore that file`,
      )
    })
    try {
      const verb = (await client.query('SELECT FROM pg_roles WHERE rolname = $1', [ROLE])).rowCount
        ? 'ALTER'
        : 'CREATE'
      await client.query(`${verb} ROLE ${ROLE} LOGIN CREATEDB PASSWORD ${client.escapeLiteral(password)}`)
      if ((await client.query('SELECT FROM pg_database WHERE datname = $1', [ROLE])).rowCount === 0)
        await client.query(`CREATE DATABASE ${ROLE} OWNER ${ROLE}`)
    } finally {
      await client.end()
    }
  }

  let bootstrapped = false
  async function probe(): Promise<void> {
    const passwords = await ensureSecrets(stateDir, {
      postgres_password: undefined,
      postgres_admin_password: undefined,
    })
    try {
      if (!bootstrapped) await bootstrap(passwords.postgres_password, passwords.postgres_admin_password)
      bootstrapped = true
      await probePostgres(`postgresql://${ROLE}:${passwords.postgres_password}@127.0.0.1:${port}/${ROLE}`)
    } catch (error) {
      // 57P03 cannot_connect_now: alive and replaying its log, which may take minutes after a crash.
      if ((error as { code?: string }).code === '57P03') throw new StillStarting((error as Error).message)
      throw error
    }
  }

  return {
    folder: data,
    prepare,
    probe,
    spec: ServiceSpec.parse({
      name: 'postgres',
      argv: [
        join(programs, 'bin/postgres'),
        ...['-D', data, '-p', String(port)],
        ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ],
      cwd: home,
      env,
      inherit_env: false,
      start_timeout_s: 90,
      ...identity,
      ports: [port],
      // Killing a database because a probe is slow turns a busy machine into a recovering one.
      hang_timeout_s: null,
      // Fast shutdown: ends sessions, writes a checkpoint.
      stop_signal: 'SIGINT',
      stop_timeout_s: 60,
    }),
  }
}

/**
 * PostgreSQL will not start while its pid file names a process that exists. After a crash that can be one that is no
 * PostgreSQL of this folder (ids start anew in a new container) or a zombie that nobody reaps: then the file is stale.
 * It is removed only when no process works in the folder any more, because with it goes PostgreSQL's own check that
 * the killed server's sessions have ended. @throws Error where one is still there after `waitMs`
 */
export async function removeStalePidFile(data: string, waitMs = 10_000): Promise<void> {
  const path = join(data, 'postmaster.pid')
  if (!existsSync(path) || process.platform !== 'linux') return
  const pid = Number(readFileSync(path, 'utf8').split('\n')[0])
  if (!Number.isInteger(pid) || pid <= 0 || !existsSync(`/proc/${pid}`)) return
  const holder = identify(pid)
  if (holder !== undefined && workingFolder(pid) === realpathSync(data)) return
  const deadline = performance.now() + waitMs
  for (;;) {
    const left = processesIn(data)
    if (left.length === 0) break
    if (performance.now() > deadline)
      throw new Error(`sessions of the database server that was killed still run: ${left.join(', ')}`)
    await new Promise((wake) => setTimeout(wake, 50))
  }
  rmSync(path, { force: true })
}

function workingFolder(pid: number | string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return undefined
  }
}

/** Processes, as far as we may look, that work in this folder. */
function processesIn(folder: string): number[] {
  const real = realpathSync(folder)
  return readdirSync('/proc')
    .filter(
      (name) => /^\d+$/.test(name) && workingFolder(name) === real && identify(Number(name)) !== undefined,
    )
    .map(Number)
}
