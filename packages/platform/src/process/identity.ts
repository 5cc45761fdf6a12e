/**
 * A process, named by id and start time. An id alone is no name: the system gives it to somebody else after the
 * process ended, and a signal sent by id alone would hit that one.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

export interface ProcessIdentity {
  readonly pid: number
  /** Opaque; equal exactly when it is the same process. Linux: boot id and start tick; elsewhere ps's start. */
  readonly started: string
}

let bootId: string | undefined
const boot = (): string => {
  bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim().slice(0, 8)
  return bootId
}

/** The process that has this id now; undefined where there is none, or only a zombie. */
export function identify(pid: number): ProcessIdentity | undefined {
  if (process.platform !== 'linux') return identifyByPs(pid)
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return undefined
  }
  // The name, in parentheses, may hold spaces and parentheses itself: fields count from the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [state] = fields
  const threads = Number(fields[17])
  // A killed process shows as a zombie when its first thread has ended; while others still end, its ports stay taken.
  if (state === 'X' || (state === 'Z' && threads <= 1)) return undefined
  return { pid, started: `${boot()}:${fields[19]}` }
}

function identifyByPs(pid: number): ProcessIdentity | undefined {
  try {
    const line = execFileSync('ps', ['-o', 'state=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      timeout: 5000,
    }).trim()
    const [state = '', ...start] = line.split(/\s+/)
    return line === '' || state.startsWith('Z') ? undefined : { pid, started: start.join(' ') }
  } catch {
    return undefined
  }
}

export const isAlive = (identity: ProcessIdentity): boolean =>
  identify(identity.pid)?.started === identity.started

/**
 * Sends a signal to this very process (`group`: to the process group that it leads).
 * @returns false where it has ended, or belongs to another user.
 */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals, group = false): boolean {
  if (!isAlive(identity)) return false
  try {
    process.kill(group ? -identity.pid : identity.pid, signal)
    return true
  } catch {
    return false
  }
}

/** Waits until the process has ended. @returns whether it did within the time. */
export async function waitForEnd(identity: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  while (isAlive(identity)) {
    if (performance.now() > deadline) return false
    await new Promise((wake) => setTimeout(wake, 25))
  }
  return true
}
