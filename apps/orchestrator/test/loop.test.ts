import { createLogger } from '@limbeck/platform'
import { describe, expect, it } from 'vitest'
import { startLoop } from '../src/loop.ts'

const quiet = createLogger({ level: 'silent', service: 'test' })
const collecting = (lines: string[]) =>
  createLogger({
    level: 'info',
    service: 'test',
    destination: { write: (line) => lines.push(JSON.parse(line).event) },
  })

describe('startLoop', () => {
  it('goes on at once while there is more to do, and never overlaps', async () => {
    let running = 0
    let most = 0
    let rounds = 0
    const done = Promise.withResolvers<void>()
    const loop = startLoop({
      name: 'test',
      log: quiet,
      idle_ms: 3_600_000,
      round: async () => {
        most = Math.max(most, ++running)
        await new Promise((resolve) => setImmediate(resolve))
        running--
        if (++rounds < 5) return true
        done.resolve()
        return false
      },
    })
    await done.promise
    await loop.stop()
    expect({ rounds, most }).toEqual({ rounds: 5, most: 1 })
  })

  it('a wake during a round is not lost', async () => {
    let rounds = 0
    const started = Promise.withResolvers<void>()
    const go = Promise.withResolvers<void>()
    const second = Promise.withResolvers<void>()
    const loop = startLoop({
      name: 'test',
      log: quiet,
      idle_ms: 3_600_000,
      round: async () => {
        if (++rounds === 2) second.resolve()
        started.resolve()
        await go.promise
        return false
      },
    })
    await started.promise
    loop.wake()
    go.resolve()
    await second.promise
    await loop.stop()
    expect(rounds).toBe(2)
  })

  it('says once that it fails and once that it works again', async () => {
    const lines: string[] = []
    let rounds = 0
    const done = Promise.withResolvers<void>()
    const loop = startLoop({
      name: 'test',
      log: collecting(lines),
      idle_ms: 1,
      round: async () => {
        // Woken rather than waiting for the pause after an error.
        setImmediate(() => loop.wake())
        if (++rounds <= 3) throw new Error('away')
        if (rounds === 5) done.resolve()
        return false
      },
    })
    await done.promise
    await loop.stop()
    expect(lines).toEqual(['loop_failed', 'loop_recovered'])
  })
})
