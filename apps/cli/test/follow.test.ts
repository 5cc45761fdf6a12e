import type { StageView } from '@limbeck/contracts'
import { expect, it } from 'vitest'
import { stageLine } from '../src/follow.ts'

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
