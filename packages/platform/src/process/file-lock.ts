/**
 * A lock between processes that a killed holder leaves takeable. Node has no flock(), so the lock is the newest of
 * the files `<path>.<n>`: it names its holder by pid and start time, or nobody after a release.
 *
 * Why numbered files: with one file, two processes that both find a dead holder may each remove it, the second
 * removing the first one's fresh lock. Here whoever finds number `n` free creates `n+1` exclusively, so only one can
 * follow it; a slow one that created a number long passed finds a higher one afterwards and withdraws. A release
 * keeps the file, because numbers must never start anew while somebody still remembers an old one.
 */
import { randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { writeFileAtomic } from '../files.ts'
import { identify, isAlive, type ProcessIdentity } from './identity.ts'

export interface FileLock {
  release(): void
}

/** Numbers of the lock's files, ascending. */
function numbers(path: string): number[] {
  const prefix = `${basename(path)}.`
  return readdirSync(dirname(path))
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
    .sort((a, b) => a - b)
}

/** The live process named in file `number`. A file that is gone or released names nobody. */
function liveHolder(path: string, number: number): ProcessIdentity | undefined {
  try {
    const { pid, started } = JSON.parse(readFileSync(`${path}.${number}`, 'utf8'))
    if (typeof pid !== 'number' || typeof started !== 'string') return undefined
    return isAlive({ pid, started }) ? { pid, started } : undefined
  } catch {
    return undefined
  }
}

/** The process that holds the lock now. */
export function lockHolder(path: string): ProcessIdentity | undefined {
  try {
    const newest = numbers(path).at(-1)
    return newest === undefined ? undefined : liveHolder(path, newest)
  } catch {
    return undefined
  }
}

/** Takes the lock, or returns undefined where another live process holds it or was faster. */
export function tryFileLock(path: string): FileLock | undefined {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const newest = numbers(path).at(-1) ?? 0
  if (liveHolder(path, newest) !== undefined) return undefined
  const self = identify(process.pid)
  if (self === undefined) throw new Error(`cannot read the start time of process ${process.pid}`)
  // From the number that was looked at, not from a newer listing: in between another process may have taken it.
  const own = newest + 1
  const file = `${path}.${own}`
  const draft = `${path}.${randomBytes(6).toString('hex')}.tmp`
  // Linked into place with its content, so that nobody ever reads an empty lock.
  writeFileSync(draft, JSON.stringify(self), { mode: 0o600 })
  try {
    linkSync(draft, file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined
    throw error
  } finally {
    rmSync(draft, { force: true })
  }
  const all = numbers(path)
  if (all.at(-1) !== own) {
    rmSync(file, { force: true })
    return undefined
  }
  for (const older of all) if (older < own) rmSync(`${path}.${older}`, { force: true })
  return { release: () => writeFileAtomic(file, '{}', 0o600) }
}

/** Runs `work` under the lock. @throws Error where it is not free within `timeoutMs`, naming the holder. */
export async function withFileLock<T>(
  path: string,
  timeoutMs: number,
  work: () => T | Promise<T>,
): Promise<T> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const lock = tryFileLock(path)
    if (lock !== undefined) {
      try {
        return await work()
      } finally {
        lock.release()
      }
    }
    if (performance.now() > deadline)
      throw new Error(
        `${path} is held by process ${lockHolder(path)?.pid ?? 'unknown'} for more than ${timeoutMs} ms`,
      )
    await new Promise((wake) => setTimeout(wake, 20 + Math.random() * 30))
  }
}
