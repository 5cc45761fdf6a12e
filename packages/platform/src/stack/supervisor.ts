/** The one supervisor of a checkout: its servers, the services added to it, its control channel, its end. */
import { copyFileSync, statSync, truncateSync } from 'node:fs'
import type { Server } from 'node:net'
import type { LocalConfig } from '../config.ts'
import type { FileLock } from '../process/file-lock.ts'
import { isAlive, type ProcessIdentity, signalProcess, waitForEnd } from '../process/identity.ts'
import { type ControlRequest, serveControl } from './control.ts'
import { StackError } from './errors.ts'
import { stackPaths } from './paths.ts'
import { embeddedPostgres } from './postgres.ts'
import { type Records, readRecords, specDigest, writeRecords } from './records.ts'
import { embeddedSeaweedfs } from './seaweedfs.ts'
import type { EmbeddedServer } from './server.ts'
import type { ServiceSpec, ServiceStatus } from './service.ts'
import { ServiceRunner } from './service-runner.ts'
import type { StackFile } from './stack-file.ts'
import { embeddedValkey } from './valkey.ts'

const logLimitBytes = 16 * 1024 ** 2
const rotateEveryMs = 10_000

export interface SupervisorOptions {
  readonly config: LocalConfig
  readonly stack: StackFile
  readonly lock: FileLock
  /** SHA-256 by name of the variables that this stack was started with. */
  readonly settings: Readonly<Record<string, string>>
  readonly bucket: string
  readonly report: (event: string, fields: Record<string, unknown>) => void
  readonly onEnd: () => void
}

/** The servers that no variable of the user's replaces, in the order of their start. */
function embeddedServers({ config, stack, bucket }: SupervisorOptions): EmbeddedServer[] {
  const { external, state_dir: stateDir, python, listen } = config
  return [
    ...(external.database_url === undefined ? [embeddedPostgres({ stateDir, stack, python })] : []),
    ...(external.redis_url === undefined ? [embeddedValkey({ stateDir, stack, python })] : []),
    ...(external.s3 === undefined ? [embeddedSeaweedfs({ stateDir, stack, python, listen, bucket })] : []),
  ]
}

export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #paths: ReturnType<typeof stackPaths>
  readonly #runners = new Map<string, ServiceRunner>()
  readonly #records: Records
  #former: Records['processes']
  #control: Server | undefined
  #queue: Promise<unknown> = Promise.resolve()
  #rotation: NodeJS.Timeout | undefined
  #ending = false

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#paths = stackPaths(options.config.state_dir)
    this.#records = readRecords(this.#paths.services)
    this.#former = { ...this.#records.processes }
  }

  /** Takes over or stops what a former supervisor left, then listens. Servers start at the first `ensure`. */
  async start(): Promise<void> {
    const servers = embeddedServers(this.#options)
    await this.#stopFormer([...servers.map(({ spec }) => spec), ...this.#records.added])
    for (const server of servers) this.#make(server.spec, server)
    for (const spec of this.#records.added) this.#make(spec)
    this.#control = await serveControl(this.#paths.socket, (request) => this.#handle(request))
    this.#rotation = setInterval(() => this.#rotateLogs(), rotateEveryMs)
  }

  async end(): Promise<void> {
    if (this.#ending) return
    this.#ending = true
    clearInterval(this.#rotation)
    this.#control?.close()
    // Services before the servers they use, the last one started first.
    const names = [...this.#runners.keys()]
    const servers = names.filter((name) => !this.#isAdded(name))
    for (const name of names.filter((each) => this.#isAdded(each)).reverse())
      await this.#runners.get(name)?.stop()
    await Promise.all(servers.map((name) => this.#runners.get(name)?.stop()))
    this.#records.added = []
    this.#save()
    this.#options.lock.release()
    this.#options.onEnd()
  }

  #isAdded(name: string): boolean {
    return this.#records.added.some((spec) => spec.name === name)
  }

  /** One process of a former supervisor is taken over when the same specification still holds; others are ended. */
  async #stopFormer(specs: ServiceSpec[]): Promise<void> {
    const digests = new Map(specs.map((spec) => [spec.name, specDigest(spec)]))
    await Promise.all(
      Object.entries(this.#former).map(async ([name, former]) => {
        if (digests.get(name) === former.spec_digest || !isAlive(former)) return
        this.#options.report('service_of_former_supervisor_stopped', { service: name, pid: former.pid })
        await stopProcess(former, former.stop_signal, former.stop_timeout_s)
      }),
    )
  }

  #make(spec: ServiceSpec, server?: EmbeddedServer): ServiceRunner {
    const former = this.#former[spec.name]
    const adopt =
      former !== undefined && former.spec_digest === specDigest(spec)
        ? { pid: former.pid, started: former.started }
        : undefined
    delete this.#former[spec.name]
    const runner = new ServiceRunner({
      spec,
      log: this.#paths.log(spec.name),
      adopt,
      report: this.#options.report,
      onProcess: (identity) => this.#recordProcess(spec, identity),
      ...(server === undefined
        ? {}
        : {
            folder: server.folder,
            prepare: () => server.prepare(),
            probe: () => server.probe(),
            ...(server.cleanUp === undefined ? {} : { cleanUp: () => server.cleanUp?.() }),
          }),
    })
    this.#runners.set(spec.name, runner)
    return runner
  }

  #recordProcess(spec: ServiceSpec, identity: ProcessIdentity | undefined): void {
    if (identity === undefined) delete this.#records.processes[spec.name]
    else {
      const { stop_signal, stop_timeout_s } = spec
      this.#records.processes[spec.name] = {
        ...identity,
        spec_digest: specDigest(spec),
        stop_signal,
        stop_timeout_s,
      }
    }
    this.#save()
  }

  #save(): void {
    writeRecords(this.#paths.services, this.#records)
  }

  async #handle(request: ControlRequest): Promise<ServiceStatus[]> {
    if (this.#ending && request.command !== 'status')
      throw new StackError('not_running', 'the stack is going down')
    switch (request.command) {
      case 'status':
        return this.#status()
      case 'ensure':
        return this.#ensure(request.settings)
      case 'add':
        return this.#inTurn(() => this.#add(request.spec))
      case 'remove':
        return this.#inTurn(() => this.#remove(request.name))
      case 'down': {
        const before = this.#status()
        await this.end()
        return before
      }
    }
  }

  #status(): ServiceStatus[] {
    return [...this.#runners.values()].map((runner) => runner.status())
  }

  async #ensure(settings: Readonly<Record<string, string>>): Promise<ServiceStatus[]> {
    const names = new Set([...Object.keys(settings), ...Object.keys(this.#options.settings)])
    const changed = [...names].filter((name) => settings[name] !== this.#options.settings[name]).sort()
    if (changed.length > 0)
      throw new StackError(
        'other_settings',
        `the running stack was started with another ${changed.join(', ')}; run ./limbeck down first`,
      )
    const runners = [...this.#runners.values()]
    const servers = runners.filter(({ spec }) => !this.#isAdded(spec.name))
    for (const runner of servers) runner.start()
    await Promise.all(servers.map((runner) => runner.whenHealthy()))
    const added = runners.filter(({ spec }) => this.#isAdded(spec.name))
    for (const runner of added) runner.start()
    // One that fails says so in its status: servers that work are not given up for it.
    await Promise.allSettled(added.map((runner) => runner.whenHealthy()))
    return this.#status()
  }

  async #add(spec: ServiceSpec): Promise<ServiceStatus[]> {
    const present = this.#runners.get(spec.name)
    if (present !== undefined && !this.#isAdded(spec.name))
      throw new StackError('wrong_setting', `"${spec.name}" is the name of one of the stack's own servers`)
    if (present === undefined || specDigest(present.spec) !== specDigest(spec)) {
      await present?.stop()
      this.#records.added = [...this.#records.added.filter(({ name }) => name !== spec.name), spec]
      this.#save()
      this.#runners.delete(spec.name)
      this.#make(spec)
    }
    const runner = this.#runners.get(spec.name)
    runner?.start()
    await runner?.whenHealthy()
    return this.#status()
  }

  async #remove(name: string): Promise<ServiceStatus[]> {
    if (!this.#isAdded(name))
      throw new StackError('not_running', `no service "${name}" was added to the stack`)
    await this.#runners.get(name)?.stop()
    this.#runners.delete(name)
    this.#records.added = this.#records.added.filter((spec) => spec.name !== name)
    this.#save()
    return this.#status()
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work)
    this.#queue = result.catch(() => {})
    return result
  }

  /** Services hold their log open for appending, so it is copied and cut, not renamed. */
  #rotateLogs(): void {
    for (const name of [...this.#runners.keys(), 'supervisor']) {
      const path = this.#paths.log(name)
      try {
        if (statSync(path).size <= logLimitBytes) continue
        copyFileSync(path, `${path}.1`)
        truncateSync(path, 0)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
          this.#options.report('log_rotation_failed', { path, reason: (error as Error).message })
      }
    }
  }
}

/** Ends a process by its signal, then by SIGKILL to the group it leads. */
export async function stopProcess(
  identity: ProcessIdentity,
  signal: NodeJS.Signals,
  timeoutS: number,
): Promise<void> {
  signalProcess(identity, signal)
  if (await waitForEnd(identity, timeoutS * 1_000)) return
  signalProcess(identity, 'SIGKILL', true)
  await waitForEnd(identity, 5_000)
}
