import type { StageView } from '@limbeck/contracts'
import { expect, it } from 'vitest'
import { report, stageLine } from '../src/follow.ts'

const at = '2026-01-01T00:00:00.000Z'
const stage = (change: object): StageView =>
  ({
    name: 'distill',
    state: 'running',
    epoch: 1,
    cached: false,
    message: null,
    seconds: null,
    progress: null,
    started_at: at,
    attempts: [{ started_at: at, resumed_from_step: null }],
    ...change,
  }) as unknown as StageView
const now = Date.parse(at) + 60_000

it('a running stage shows rate, loss and the time left', () => {
  const progress = {
    step: 200,
    total: 1000,
    images_per_second: 96.4,
    loss: 0.21412,
    at: '2026-01-01T00:00:50.000Z',
  }
  expect(stageLine(stage({ progress }), now)).toBe(
    'distill                  step 200 of 1000 · 96 images/s · loss 0.214 · 3 min 20 s left',
  )
})

it('a resumed attempt counts its own steps only', () => {
  const progress = {
    step: 600,
    total: 1000,
    images_per_second: null,
    loss: null,
    at: '2026-01-01T00:00:50.000Z',
  }
  const attempts = [
    { started_at: at, resumed_from_step: 100 },
    { started_at: at, resumed_from_step: 500 },
  ]
  expect(stageLine(stage({ progress, attempts, epoch: 2 }), now)).toBe(
    'distill                  step 600 of 1000 · 3 min 20 s left (attempt 2)',
  )
})

it('a failed stage says why', () => {
  expect(
    stageLine(stage({ state: 'failed', seconds: 12, message: 'the loss became NaN at step 40' }), now),
  ).toBe('distill                  failed in 12 s · the loss became NaN at step 40')
})

it('a cached stage says so', () => {
  expect(stageLine(stage({ state: 'succeeded', cached: true }), now)).toBe('distill                  cached')
})

it('says why nothing runs after a while, once a reason, and nothing of it while something runs', () => {
  const lines: string[] = []
  const output = { write: (text: string) => lines.push(text) }
  const printed = new Map<string, string>()
  const queued = (message: string, other = 'blocked') =>
    ({ stages: [stage({ state: 'queued', message }), stage({ name: 'eval', state: other })] }) as never
  let news = report(output, queued('no worker of class cpu is connected'), printed, 0, now)
  expect(lines).toEqual([])
  for (const seconds of [5, 20, 40])
    news = report(output, queued('no worker of class cpu is connected'), printed, news, now + seconds * 1000)
  expect(lines).toEqual(['distill                  queued · no worker of class cpu is connected\n'])
  news = report(output, queued('all workers are busy', 'running'), printed, news, now + 60_000)
  expect(lines.filter((line) => line.includes('busy'))).toEqual([])
  report(output, queued('all workers are busy'), printed, news, now + 80_000)
  expect(lines.at(-1)).toContain('queued · all workers are busy')
})
