/** What programs do with the embedded stack: up, down, status, and services beside its servers. */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import {
  type Config,
  childEnvironment,
  currentSettings,
  type LocalConfig,
  loadConfig,
  loadLocalConfig,
  s3BucketName,
} from '../config.ts'
import { tailOfFile } from '../files.ts'
import { lockHolder, tryFileLock } from '../process/file-lock.ts'
import { isAlive, signalProcess, waitForEnd } from '../process/identity.ts'
import { askSupervisor } from './control.ts'
import { StackError, type StackErrorCode } from './errors.ts'
import { eraseStack } from './initialise.ts'
import { makeStackFolders, stackPaths } from './paths.ts'
import { probePostgres, probeS3, probeValkey } from './probes.ts'
import { readRecords, writeRecords } from './records.ts'
import { ServiceSpec, type ServiceSpecInput, type ServiceStatus } from './service.ts'
import { stopProcess } from './supervisor.ts'

export interface UpOptions {
  /** Choose other ports; the stack must be down. */
  readonly newPorts?: boolean
  /** Called whenever a service's state changes, for progress lines. */
  readonly onProgress?: (services: readonly ServiceStatus[]) => void
}

export interface DownOptions {
  /** Removes the stack's data, passwords and ports as well. */
  readonly erase?: boolean
}

export interface StackInfo {
  readonly config: Config
  readonly services: readonly ServiceStatus[]
  /** False: a running stack was found. */
  readonly started: boolean
}

export interface StackStatus {
  readonly running: boolean
  readonly supervisor_pid: number | null
  readonly services: readonly ServiceStatus[]
}

const ensureLimitMs = 900_000
const downLimitMs = 180_000
const appearLimitMs = 30_000

/**
 * Starts the embedded stack, or finds it running; resolves when each server does its work.
 * @throws StackError, ConfigError with a message for the user.
 */
export async function up(options: UpOptions = {}): Promise<StackInfo> {
  const local = loadLocalConfig()
  makeStackFolders(local.state_dir)
  const paths = stackPaths(local.state_dir)
  if (options.newPorts === true && lockHolder(paths.lock) !== undefined)
    throw new StackError(
      'other_settings',
      'the stack is running; run ./limbeck down before choosing new ports',
    )
  const started = await appear(local, options)
  const stopProgress = followProgress(paths.socket, options.onProgress)
  try {
    const services = await askSupervisor(
      paths.socket,
      { command: 'ensure', settings: currentSettings() },
      ensureLimitMs,
    )
    if (services === undefined)
      throw new StackError(
        'supervisor_silent',
        `the stack's supervisor ended while starting${lastWords(paths.log('supervisor'))}`,
      )
    const config = loadConfig()
    await probeExternal(local, config)
    return { config, services, started }
  } catch (error) {
    // A stack that this call started and that does not work is not left half running.
    if (started) await down().catch(() => {})
    throw error
  } finally {
    stopProgress()
  }
}

/** Makes sure that a supervisor answers. @returns whether this call started it. */
async function appear(local: LocalConfig, options: UpOptions): Promise<boolean> {
  const paths = stackPaths(local.state_dir)
  const deadline = performance.now() + appearLimitMs
  let started = false
  let ended = false
  for (;;) {
    const services = await askSupervisor(paths.socket, { command: 'status' }, 10_000)
    if (services !== undefined) return started
    if (!started && lockHolder(paths.lock) === undefined) {
      started = true
      startSupervisor(local, options, () => {
        ended = true
      })
    }
    throwStartError(paths.startError)
    // It also ends, at peace, where another one was faster: then that one answers soon.
    if (performance.now() > deadline || (ended && lockHolder(paths.lock) === undefined))
      throw new StackError(
        'supervisor_silent',
        `the stack's supervisor did not come up${ended ? '' : ` within ${appearLimitMs / 1000} s`}${lastWords(paths.log('supervisor'))}`,
      )
    await new Promise((wake) => setTimeout(wake, 50))
  }
}

function startSupervisor(local: LocalConfig, options: UpOptions, onEnd: () => void): void {
  const paths = stackPaths(local.state_dir)
  rmSync(paths.startError, { force: true })
  const log = openSync(paths.log('supervisor'), 'a', 0o600)
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, 'supervisor-main.ts'), ...(options.newPorts === true ? ['--new-ports'] : [])],
    {
      cwd: local.state_dir,
      env: childEnvironment({ LIMBECK_STATE_DIR: local.state_dir }),
      detached: true,
      stdio: ['ignore', log, log],
    },
  )
  closeSync(log)
  child.once('error', onEnd)
  child.once('exit', onEnd)
  child.unref()
}

function throwStartError(path: string): void {
  if (!existsSync(path)) return
  const { code, message } = JSON.parse(readFileSync(path, 'utf8')) as {
    code: StackErrorCode
    message: string
  }
  rmSync(path, { force: true })
  throw new StackError(code, message)
}

const lastWords = (log: string): string => `\nlast lines of ${log}:\n${tailOfFile(log, 8).join('\n')}`

function followProgress(socket: string, onProgress: UpOptions['onProgress']): () => void {
  if (onProgress === undefined) return () => {}
  let last = ''
  const timer = setInterval(async () => {
    const services = await askSupervisor(socket, { command: 'status' }, 5_000).catch(() => undefined)
    const key = JSON.stringify(services?.map(({ name, state }) => [name, state]))
    if (services === undefined || key === last) return
    last = key
    onProgress(services)
  }, 200)
  return () => clearInterval(timer)
}

/** Servers of the user's own get the same tests of work, and errors that name their variables. */
async function probeExternal(local: LocalConfig, config: Config): Promise<void> {
  const { external } = local
  const named = async (variable: string, probe: Promise<void>) => {
    try {
      await probe
    } catch (error) {
      if (error instanceof StackError) throw error
      throw new StackError('not_answering', `${variable}: the server does not answer: ${reasonOf(error)}`)
    }
  }
  await Promise.all([
    ...(external.database_url === undefined
      ? []
      : [named('DATABASE_URL', probePostgres(config.database_url))]),
    ...(external.redis_url === undefined ? [] : [named('REDIS_URL', probeValkey(config.redis_url))]),
    ...(external.s3 === undefined
      ? []
      : [named('S3_ENDPOINT', probeS3({ ...config.s3, bucket: s3BucketName() }))]),
  ])
}

/** A refused connection arrives as an AggregateError with an empty message, one error an address. */
function reasonOf(error: unknown): string {
  const { message, errors, code } = error as { message?: string; errors?: Error[]; code?: string }
  return message || errors?.[0]?.message || code || String(error)
}

/**
 * Ends the stack: added services, then the servers, each within its limit; then the supervisor.
 * Processes that a killed supervisor left are ended too. No other process is touched.
 * @returns whether anything was running.
 */
export async function down(options: DownOptions = {}): Promise<boolean> {
  const { state_dir } = loadLocalConfig()
  if (!existsSync(state_dir)) return false
  const wasRunning = await stopAll(state_dir)
  if (options.erase === true) eraseStack(state_dir)
  return wasRunning
}

async function stopAll(state_dir: string): Promise<boolean> {
  const paths = stackPaths(state_dir)
  const supervisor = lockHolder(paths.lock)
  if (supervisor !== undefined) {
    try {
      await askSupervisor(paths.socket, { command: 'down' }, downLimitMs)
    } catch (error) {
      if (!(error instanceof StackError) || error.code !== 'not_running') {
        // It hangs: end it, and do its work below.
        signalProcess(supervisor, 'SIGKILL')
      }
    }
    if (!(await waitForEnd(supervisor, 30_000))) signalProcess(supervisor, 'SIGKILL')
  }
  return (await stopRecorded(state_dir)) || supervisor !== undefined
}

/** Ends what a supervisor that no longer lives has started. */
async function stopRecorded(stateDir: string): Promise<boolean> {
  const paths = stackPaths(stateDir)
  const lock = existsSync(paths.services) ? tryFileLock(paths.lock) : undefined
  if (lock === undefined) return false
  try {
    const { processes, added } = readRecords(paths.services)
    const alive = Object.entries(processes).filter(([, identity]) => isAlive(identity))
    const isAdded = (name: string) => added.some((spec) => spec.name === name)
    for (const servers of [false, true])
      await Promise.all(
        alive
          .filter(([name]) => isAdded(name) !== servers)
          .map(([, each]) => stopProcess(each, each.stop_signal, each.stop_timeout_s)),
      )
    writeRecords(paths.services, { processes: {}, added: [] })
    return alive.length > 0
  } finally {
    lock.release()
  }
}

export async function status(): Promise<StackStatus> {
  const { state_dir } = loadLocalConfig()
  const paths = stackPaths(state_dir)
  const services = existsSync(paths.run)
    ? await askSupervisor(paths.socket, { command: 'status' }, 10_000)
    : undefined
  return {
    running: services !== undefined,
    supervisor_pid: lockHolder(paths.lock)?.pid ?? null,
    services: services ?? [],
  }
}

/**
 * Puts a service under the running supervisor and waits until it works. Adding the same specification again finds
 * the running one; a changed specification replaces it. It lives until `removeService` or `down`.
 */
export async function addService(spec: ServiceSpecInput): Promise<ServiceStatus> {
  const parsed = ServiceSpec.parse(spec)
  const limitMs = (parsed.start_timeout_s + parsed.stop_timeout_s) * 1_000 + 30_000
  const services = await ask({ command: 'add', spec: parsed }, limitMs)
  const added = services.find(({ name }) => name === parsed.name)
  if (added === undefined)
    throw new StackError('not_running', `the supervisor did not keep the service "${parsed.name}"`)
  return added
}

export async function removeService(name: string): Promise<void> {
  await ask({ command: 'remove', name }, downLimitMs)
}

async function ask(request: Parameters<typeof askSupervisor>[1], limitMs: number): Promise<ServiceStatus[]> {
  const { state_dir } = loadLocalConfig()
  const services = await askSupervisor(stackPaths(state_dir).socket, request, limitMs)
  if (services === undefined)
    throw new StackError('not_running', 'the embedded stack is not running; run ./limbeck up')
  return services
}
