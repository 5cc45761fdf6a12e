/**
 * Keeps one service running: prepare, start or adopt, wait until it works, watch, start again after a growing pause.
 * Processes are followed by polling their identity, because an adopted one is nobody's child here.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, realpathSync } from 'node:fs'
import { childEnvironment } from '../config.ts'
import { tailOfFile } from '../files.ts'
import { identify, isAlive, type ProcessIdentity, signalProcess, waitForEnd } from '../process/identity.ts'
import { StackError, StillStarting } from './errors.ts'
import { isPortFree, type PortHolder, portHolder } from './ports.ts'
import { probeHttp } from './probes.ts'
import type { ServiceSpec, ServiceState, ServiceStatus } from './service.ts'

const pollMs = 200
/** How long a port whose holder cannot be named may take to become free. */
const portReleaseMs = 3_000
const probeEveryMs = 10_000
/** A service that stayed up for so long has recovered: its next pause starts small again. */
const recoveredAfterMs = 60_000
const backoff = { firstMs: 250, maxMs: 30_000 }
/** A server that keeps saying "still starting" (crash recovery) is given so long in all. */
const stillStartingLimitMs = 600_000

export const backoffMs = (failures: number): number =>
  Math.min(backoff.maxMs, backoff.firstMs * 2 ** Math.min(failures, 20))

/** The last lines of a log, and before them the last ones that say "fatal": Go's stack dumps bury those. */
function tellingLines(lines: readonly string[]): string[] {
  const last = lines.slice(-12)
  const fatal = lines.slice(0, -12).filter((line) => /^F\d{4} |FATAL|PANIC|^panic:|No space left/.test(line))
  return [...fatal.slice(-3), ...last]
}

export interface RunnerOptions {
  readonly spec: ServiceSpec
  readonly log: string
  /** Listener with this working folder is a lost process of ours. */
  readonly folder?: string
  readonly prepare?: () => Promise<void>
  readonly probe?: () => Promise<void>
  readonly cleanUp?: () => void
  /** A process of a former supervisor, checked by identity. */
  readonly adopt?: ProcessIdentity | undefined
  /** Called at once after each start and end, to keep the records true. */
  readonly onProcess: (identity: ProcessIdentity | undefined) => void
  readonly report: (event: string, fields: Record<string, unknown>) => void
}

export class ServiceRunner {
  readonly spec: ServiceSpec
  readonly #options: RunnerOptions
  readonly #stop = new AbortController()
  #state: ServiceState = 'starting'
  #sinceMs = Date.now()
  #process: ProcessIdentity | undefined
  #adopt: ProcessIdentity | undefined
  #failures = 0
  #restarts = 0
  #error: Error | undefined
  /** Ends the loop's present wait. */
  #wake: () => void = () => {}
  /** In the pause between two starts, which the end of an older process must not shorten. */
  #resting = false
  #loop: Promise<void> | undefined
  #observers = new Set<() => void>()

  constructor(options: RunnerOptions) {
    this.spec = options.spec
    this.#options = options
    this.#adopt = options.adopt
  }

  start(): void {
    this.#loop ??= this.#run()
  }

  status(): ServiceStatus {
    return {
      name: this.spec.name,
      state: this.#state,
      pid: this.#process?.pid ?? null,
      ports: this.spec.ports,
      restarts: this.#restarts,
      since_ms: this.#sinceMs,
      reason: this.#error?.message ?? null,
      log: this.#options.log,
    }
  }

  /**
   * Waits until the service works. Ends a pause between starts at once.
   * @throws StackError when it cannot be started, failed three starts in a row, or took longer than its limit.
   */
  async whenHealthy(): Promise<void> {
    const failuresAtFirst = this.#failures
    const limitMs = this.spec.start_timeout_s * 1_000
    const deadline = performance.now() + limitMs
    this.#wake()
    for (;;) {
      if (this.#state === 'healthy') return
      if (this.#state === 'stopped') throw new StackError('not_running', `${this.spec.name} was stopped`)
      const failures = this.#failures - failuresAtFirst
      const { code } = (this.#error as StackError | undefined) ?? {}
      const patience = this.#error instanceof StillStarting ? stillStartingLimitMs - limitMs : 0
      const fatal = this.#error instanceof StackError && code !== 'not_answering' && failures > 0
      if (fatal && this.#error !== undefined) throw this.#error
      if (failures >= 3 || performance.now() > deadline + patience) throw this.#failure()
      await this.#nextChange(250)
    }
  }

  #failure(): StackError {
    const seconds = this.spec.start_timeout_s
    const lines = tellingLines(tailOfFile(this.#options.log, 400)).map((line) => `  ${line}`)
    const reason = this.#error?.message ?? 'no answer'
    return new StackError(
      'not_answering',
      `${this.spec.name} does not work (limit ${seconds} s): ${reason}\nlast lines of ${this.#options.log}:\n${lines.join('\n') || '  (empty)'}`,
    )
  }

  /** Stops the process and ends the loop. The limit is the service's own. */
  async stop(): Promise<void> {
    this.#stop.abort()
    this.#wake()
    await this.#loop
    await this.#end()
    this.#set('stopped')
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#set('starting')
      let startedMs = performance.now()
      try {
        await this.#startOrAdopt()
        startedMs = performance.now()
        await this.#untilHealthy(startedMs)
        if (this.#stop.signal.aborted) return
        this.#error = undefined
        this.#set('healthy')
        this.#options.report('service_healthy', { service: this.spec.name, pid: this.#process?.pid })
        const healthySince = performance.now()
        await this.#watch()
        if (performance.now() - healthySince > recoveredAfterMs) this.#failures = 0
      } catch (error) {
        this.#error = error as Error
      }
      if (this.#stop.signal.aborted) return
      await this.#end()
      const pauseMs = backoffMs(this.#failures)
      this.#failures++
      this.#restarts++
      this.#set('waiting')
      this.#options.report('service_ended', {
        service: this.spec.name,
        reason: this.#error?.message,
        again_in_ms: pauseMs,
      })
      this.#resting = true
      await this.#pause(pauseMs)
      this.#resting = false
    }
  }

  async #startOrAdopt(): Promise<void> {
    const candidate = this.#adopt
    this.#adopt = undefined
    if (candidate !== undefined && isAlive(candidate)) {
      this.#record(candidate)
      this.#options.report('service_adopted', { service: this.spec.name, pid: candidate.pid })
      return
    }
    await this.#options.prepare?.()
    await this.#requireFreePorts()
    this.#spawn()
  }

  async #requireFreePorts(): Promise<void> {
    for (const port of this.spec.ports) await this.#requireFree(port)
  }

  async #requireFree(port: number): Promise<void> {
    const deadline = performance.now() + portReleaseMs
    let holder: PortHolder | undefined
    while (!(await isPortFree(port, this.spec.listen))) {
      holder = portHolder(port)
      const lost = this.#isOurs(holder?.cwd) ? identify(holder?.pid ?? 0) : undefined
      if (lost !== undefined) {
        this.#options.report('service_lost_process_stopped', { service: this.spec.name, pid: lost.pid })
        await this.#terminate(lost)
      } else if (holder !== undefined || performance.now() > deadline) {
        throw this.#portInUse(port, holder)
      }
      // A holder that nobody can name may be a process of ours on its last way out.
      await this.#pause(100)
    }
  }

  #portInUse(port: number, holder: PortHolder | undefined): StackError {
    const who = holder === undefined ? 'another process' : `process ${holder.pid} (${holder.command})`
    const api = this.#options.folder === undefined ? ' (the port of the API alone: LIMBECK_API_PORT)' : ''
    return new StackError(
      'port_in_use',
      `port ${port} of ${this.spec.name} is in use by ${who}; end it, or choose other ports with ./limbeck up --new-ports${api}`,
    )
  }

  #isOurs(cwd: string | undefined): boolean {
    try {
      return (
        cwd !== undefined && this.#options.folder !== undefined && cwd === realpathSync(this.#options.folder)
      )
    } catch {
      return false
    }
  }

  #spawn(): void {
    const { argv, cwd, env, inherit_env, uid, gid } = this.spec
    const [program = '', ...args] = argv
    // Its own file, not a pipe to us: it must outlive a supervisor that is killed.
    const log = openSync(this.#options.log, 'a', 0o600)
    let child: ChildProcess
    try {
      child = spawn(program, args, {
        cwd,
        env: inherit_env ? childEnvironment(env) : env,
        detached: true,
        stdio: ['ignore', log, log],
        ...(uid === undefined ? {} : { uid }),
        ...(gid === undefined ? {} : { gid }),
      })
    } finally {
      closeSync(log)
    }
    let failure: Error | undefined
    child.once('error', (error) => {
      failure = error
    })
    const identity = child.pid === undefined ? undefined : identify(child.pid)
    child.once('exit', (status, signal) => {
      if (this.#process?.pid === child.pid)
        this.#error = new Error(`ended with ${signal ?? `status ${status}`}`)
      if (!this.#resting) this.#wake()
    })
    child.unref()
    if (child.pid === undefined)
      throw new StackError(
        'binary_missing',
        `cannot run ${program}${failure === undefined ? '' : `: ${failure.message}`}`,
      )
    if (identity === undefined) throw new Error('ended at once')
    this.#record(identity)
    this.#options.report('service_started', { service: this.spec.name, pid: child.pid })
  }

  #record(identity: ProcessIdentity | undefined): void {
    this.#process = identity
    this.#options.onProcess(identity)
  }

  async #probe(): Promise<void> {
    if (this.#options.probe !== undefined) return this.#options.probe()
    if (this.spec.health_url !== undefined) return probeHttp(this.spec.health_url)
  }

  async #untilHealthy(startedMs: number): Promise<void> {
    for (;;) {
      if (this.#stop.signal.aborted) return
      if (!this.#alive()) throw this.#ended()
      try {
        return await this.#probe()
      } catch (error) {
        if (!this.#alive()) throw this.#ended()
        this.#error = error as Error
        if (performance.now() - startedMs > this.#patienceMs(error)) throw error
        await this.#pause(100)
      }
    }
  }

  /** How long after its start a server may go on failing its probe in this way. */
  #patienceMs(error: unknown): number {
    if (error instanceof StillStarting) return stillStartingLimitMs
    // A refused password or a wrong setting does not mend itself, unless the server is still reading its files.
    if (error instanceof StackError) return 5_000
    return this.spec.start_timeout_s * 1_000
  }

  /** Returns when the process ended or hung, or a stop is asked for. */
  async #watch(): Promise<void> {
    let nextProbe = performance.now() + probeEveryMs
    let unhealthySince: number | undefined
    while (!this.#stop.signal.aborted) {
      if (!this.#alive()) throw this.#ended()
      if (performance.now() >= nextProbe) {
        try {
          await this.#probe()
          unhealthySince = undefined
          this.#error = undefined
          this.#set('healthy')
        } catch (error) {
          if (!this.#alive()) throw this.#ended()
          unhealthySince ??= performance.now()
          this.#error = error as Error
          this.#set('unhealthy')
          const limit = this.spec.hang_timeout_s
          if (limit !== null && performance.now() - unhealthySince > limit * 1_000) throw error
        }
        nextProbe = performance.now() + probeEveryMs
      }
      await this.#pause(pollMs)
    }
  }

  #alive(): boolean {
    return this.#process !== undefined && isAlive(this.#process)
  }

  #ended(): Error {
    const { message } = this.#error ?? {}
    return new Error(message?.startsWith('ended') ? message : 'the process ended')
  }

  async #end(): Promise<void> {
    const identity = this.#process
    if (identity !== undefined && isAlive(identity)) {
      this.#set('stopping')
      await this.#terminate(identity)
    }
    if (identity !== undefined) this.#record(undefined)
    this.#options.cleanUp?.()
  }

  async #terminate(identity: ProcessIdentity): Promise<void> {
    signalProcess(identity, this.spec.stop_signal)
    if (await waitForEnd(identity, this.spec.stop_timeout_s * 1_000)) return
    this.#options.report('service_killed', { service: this.spec.name, pid: identity.pid })
    signalProcess(identity, 'SIGKILL', true)
    await waitForEnd(identity, 5_000)
  }

  #set(state: ServiceState): void {
    if (state !== this.#state) this.#sinceMs = Date.now()
    this.#state = state
    for (const observer of this.#observers) observer()
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #nextChange(limitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#observers.delete(done)
        resolve()
      }
      const timer = setTimeout(done, limitMs)
      this.#observers.add(done)
    })
  }
}
