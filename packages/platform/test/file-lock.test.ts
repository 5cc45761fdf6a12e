import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import {
  identify,
  isAlive,
  lockHolder,
  signalProcess,
  tryFileLock,
  waitForEnd,
  withFileLock,
} from '../src/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'limbeck-lock-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const module = join(import.meta.dirname, '../src/process/file-lock.ts')

/** A process that takes the lock `count` times, each time writing "in" and "out" around a pause. */
function contender(path: string, count: number): ChildProcess {
  const program = `
    import { appendFileSync } from 'node:fs'
    import { withFileLock } from ${JSON.stringify(module)}
    for (let i = 0; i < ${count}; i++)
      await withFileLock(${JSON.stringify(path)}, 20000, async () => {
        appendFileSync(${JSON.stringify(`${path}.log`)}, 'in ' + process.pid + '\\n')
        await new Promise((wake) => setTimeout(wake, 3))
        appendFileSync(${JSON.stringify(`${path}.log`)}, 'out ' + process.pid + '\\n')
      })
  `
  return spawn(process.execPath, ['--input-type=module-typescript', '-e', program], { stdio: 'ignore' })
}

describe('process identity', () => {
  it('knows a process by its start, and does not signal another that has its id', async () => {
    const child = spawn('sleep', ['60'])
    const identity = identify(child.pid ?? 0)
    if (identity === undefined) throw new Error('no identity')
    expect(isAlive(identity)).toBe(true)
    expect(signalProcess({ ...identity, started: 'another' }, 'SIGKILL')).toBe(false)
    expect(isAlive(identity)).toBe(true)
    expect(signalProcess(identity, 'SIGKILL')).toBe(true)
    expect(await waitForEnd(identity, 5_000)).toBe(true)
    expect(signalProcess(identity, 'SIGKILL')).toBe(false)
  })
})

describe('lock between processes', () => {
  it('is held by one at a time', () => {
    const path = join(folder, 'simple')
    const first = tryFileLock(path)
    expect(lockHolder(path)?.pid).toBe(process.pid)
    expect(tryFileLock(path)).toBeUndefined()
    first?.release()
    const second = tryFileLock(path)
    expect(second).toBeDefined()
    second?.release()
    expect(lockHolder(path)).toBeUndefined()
  })

  it('is taken over from a dead holder, and from an id that now names another process', () => {
    const path = join(folder, 'stale')
    writeFileSync(`${path}.7`, JSON.stringify({ pid: process.pid, started: 'before' }))
    const lock = tryFileLock(path)
    expect(lock).toBeDefined()
    expect(readdirSync(folder).filter((name) => name.startsWith('stale'))).toEqual(['stale.8'])
    lock?.release()
  })

  it('excludes contending processes, numbers never starting anew, one of them killed while it holds the lock', async () => {
    const path = join(folder, 'contended')
    const processes = [1, 2, 3, 4].map(() => contender(path, 25))
    // Listening from the start: on a quiet machine they are done before the victim is killed.
    const exits = Promise.all(processes.map((each) => once(each, 'exit')))
    const victim = contender(path, 10_000)
    await new Promise((wake) => setTimeout(wake, 400))
    victim.kill('SIGKILL')
    const ends = await exits
    expect(ends.map(([status]) => status)).toEqual([0, 0, 0, 0])
    let holder: string | undefined
    for (const line of readFileSync(`${path}.log`, 'utf8').trim().split('\n')) {
      const [what, pid] = line.split(' ')
      if (what === 'in') {
        // The killed one is the only holder that may end without "out".
        if (holder !== undefined) expect(holder).toBe(String(victim.pid))
        holder = pid
      } else {
        expect(pid).toBe(holder)
        holder = undefined
      }
    }
  })

  it('names the holder when it takes too long', async () => {
    const path = join(folder, 'slow')
    const lock = tryFileLock(path)
    await expect(withFileLock(path, 100, () => {})).rejects.toThrow(`held by process ${process.pid}`)
    lock?.release()
  })
})
