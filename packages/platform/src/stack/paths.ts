/** Where the embedded stack keeps things below the state directory. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

export const stackPaths = (stateDir: string) => ({
  data: (server: string) => join(stateDir, 'data', server),
  logs: join(stateDir, 'logs'),
  log: (service: string) => join(stateDir, 'logs', `${service}.log`),
  run: join(stateDir, 'run'),
  /** The supervisor's lock: see file-lock.ts for the numbered files beside it. */
  lock: join(stateDir, 'run', 'supervisor.lock'),
  socket: join(stateDir, 'run', 'control.sock'),
  /** Processes that the supervisor started, and services it was given: what a successor takes over. */
  services: join(stateDir, 'run', 'services.json'),
  /** Why the last supervisor could not start, for the process that started it. */
  startError: join(stateDir, 'run', 'start-error.json'),
})

export function makeStackFolders(stateDir: string): void {
  const paths = stackPaths(stateDir)
  mkdirSync(stateDir, { recursive: true })
  mkdirSync(join(stateDir, 'data'), { recursive: true })
  mkdirSync(paths.logs, { recursive: true, mode: 0o700 })
  mkdirSync(paths.run, { recursive: true, mode: 0o700 })
}
