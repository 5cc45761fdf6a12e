/**
 * Starts the stack that integration tests share, or finds it running, and hands its address to the test processes.
 * Several test runs may use it side by side: the last one to leave stops it.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { down, identify, isAlive, repositoryRoot, up, withFileLock } from '@limbeck/platform'

/** Beside the developer's own stack, never in it: tests make and drop databases. */
const shared = join(repositoryRoot, '.limbeck', 'test-stack')
const users = join(shared, 'users')
const limitMs = 120_000

function othersUse(): boolean {
  return readdirSync(users).some((name) => {
    if (name === String(process.pid)) return false
    if (isAlive(JSON.parse(readFileSync(join(users, name), 'utf8')))) return true
    rmSync(join(users, name), { force: true })
    return false
  })
}

export default async function setUp(): Promise<() => Promise<void>> {
  // A stack named by the environment is its owner's to stop.
  if (process.env.LIMBECK_STATE_DIR !== undefined) {
    await up()
    return async () => {}
  }
  process.env.LIMBECK_STATE_DIR = shared
  mkdirSync(users, { recursive: true })
  const lock = join(shared, 'users.lock')
  const own = join(users, String(process.pid))
  await withFileLock(lock, limitMs, async () => {
    writeFileSync(own, JSON.stringify(identify(process.pid)))
    await up()
  })
  return () =>
    withFileLock(lock, limitMs, async () => {
      rmSync(own, { force: true })
      if (!othersUse()) await down()
    })
}
