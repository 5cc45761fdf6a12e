import type { RunId, StageId } from '@limbeck/contracts'
import { ok } from '@limbeck/core'
import { failure, type StoreResult } from './failure.ts'
import { iso } from './rows.ts'
import {
  type EventRow,
  markDelivered,
  selectEvents,
  selectLatestEvent,
  selectUndelivered,
} from './sql/events.ts'
import type { Store } from './store.ts'

export interface FeedEvent {
  /** "xid:id": the Last-Event-ID to go on from. */
  cursor: string
  type: string
  project: string
  run: RunId | null
  stage: StageId | null
  payload: Record<string, unknown>
  created_at: string
}

const START = '0:0'
const cursorOf = ({ xid, id }: { xid: string; id: string }): string => `${xid}:${id}`

/** Events after a cursor ('' or "xid:id"), oldest first. Failure: invalid_request. */
export async function readEvents(
  store: Store,
  filter: { project?: string; run?: string; after: string; limit: number },
): StoreResult<FeedEvent[]> {
  const [, xid, id] = /^(\d{1,19}):(\d{1,18})$/.exec(filter.after || START) ?? []
  if (xid === undefined || id === undefined)
    return failure(
      'invalid_request',
      `the cursor is ${JSON.stringify(filter.after)}; allowed: "<xid>:<id>" of an event`,
    )
  const rows = await selectEvents(store.pool, {
    project: filter.project ?? null,
    run: filter.run ?? null,
    xid,
    id,
    limit: filter.limit,
  })
  return ok(
    rows.map((row) => ({
      cursor: cursorOf(row),
      type: row.type,
      project: row.project,
      run: row.run_id,
      stage: row.stage_id,
      payload: row.payload,
      created_at: iso(row.created_at),
    })),
  )
}

export async function latestCursor(store: Store): Promise<string> {
  const row = await selectLatestEvent(store.pool)
  return row === null ? START : cursorOf(row)
}

export interface UndeliveredEvent {
  id: string
  type: string
  project: string
  run: RunId | null
  stage: StageId | null
  payload: Record<string, unknown>
}

const undelivered = (row: EventRow): UndeliveredEvent => ({
  id: row.id,
  type: row.type,
  project: row.project,
  run: row.run_id,
  stage: row.stage_id,
  payload: row.payload,
})

/**
 * Hands over events that were not delivered yet and marks them when `deliver` resolves. No transaction is held
 * meanwhile: a crash in between, or a second relay, delivers twice, which every consumer must bear.
 * @returns how many were handed over
 */
export async function relayEvents(
  store: Store,
  limit: number,
  deliver: (events: UndeliveredEvent[]) => Promise<void>,
): Promise<number> {
  const rows = await selectUndelivered(store.pool, limit)
  if (rows.length === 0) return 0
  await deliver(rows.map(undelivered))
  await markDelivered(
    store.pool,
    rows.map((row) => row.id),
  )
  return rows.length
}
