import type { StageId } from '@limbeck/contracts'
import { createLogger } from '@limbeck/platform'
import type { UndeliveredEvent } from '@limbeck/store'
import { describe, expect, it } from 'vitest'
import { ringsOf } from '../src/relay.ts'

const lines: string[] = []
const log = createLogger({
  level: 'info',
  service: 'test',
  destination: { write: (line) => lines.push(JSON.parse(line).event) },
})
const now = Date.parse('2026-01-01T00:00:00Z')
const event = (payload: Record<string, unknown>, type = 'stage.changed'): UndeliveredEvent => ({
  id: '1',
  type,
  project: 'default',
  run: null,
  stage: 'stg_00000000000000000000000001' as StageId,
  payload,
})
const queued = { state: 'queued', epoch: 3, resource_class: 'cpu', priority: 50, next_attempt_at: null }

describe('ringsOf', () => {
  it('rings for a stage that is queued, with ids only', () => {
    expect(ringsOf([event(queued)], now, log)).toEqual([
      {
        resource_class: 'cpu',
        id: 'stg_00000000000000000000000001.3',
        data: { stage: 'stg_00000000000000000000000001', epoch: 3 },
        priority: 50,
        delay: 0,
      },
    ])
  })

  it('delays the ring of a retry until it is due', () => {
    const [ring] = ringsOf([event({ ...queued, next_attempt_at: now / 1000 + 4 })], now, log)
    expect(ring?.delay).toBeCloseTo(4_000, 3)
  })

  it('rings for nothing else: other states, other events, stages of the control plane', () => {
    const others = [
      event({ ...queued, state: 'running' }),
      event(queued, 'run.changed'),
      event({ ...queued, resource_class: 'control' }),
    ]
    expect(ringsOf(others, now, log)).toEqual([])
    expect(lines).toEqual([])
  })

  it('says so when it does not understand an event of a queued stage', () => {
    expect(ringsOf([event({ ...queued, next_attempt_at: 'soon' })], now, log)).toEqual([])
    expect(lines).toEqual(['event_not_understood'])
  })
})
