import type { QueueList } from '@limbeck/contracts'
import { isBlocked, isLeased, isQueued } from '@limbeck/core'
import type { z } from 'zod'
import type { Queryable } from '../transaction.ts'
import { stateIs } from './states.ts'

export type QueueRow = z.infer<typeof QueueList>['classes'][number]

/** Indexes: stage's partial ones of open states, worker (project, last_seen_at). */
export async function selectQueues(
  db: Queryable,
  project: string,
  live_seconds: number,
): Promise<QueueRow[]> {
  const open = (state: Parameters<typeof isQueued>[0]) =>
    isBlocked(state) || isQueued(state) || isLeased(state)
  const { rows } = await db.query<QueueRow>(
    `WITH waiting AS (
       SELECT resource_class,
         (count(*) FILTER (WHERE ${stateIs(isBlocked)}))::int AS blocked,
         (count(*) FILTER (WHERE ${stateIs(isQueued)}))::int AS queued,
         (count(*) FILTER (WHERE ${stateIs(isQueued)} AND next_attempt_at <= now()))::int AS due,
         (count(*) FILTER (WHERE ${stateIs(isLeased)}))::int AS running,
         extract(epoch FROM now() - min(next_attempt_at)
           FILTER (WHERE ${stateIs(isQueued)} AND next_attempt_at <= now()))::float8 AS oldest_wait_seconds
       FROM stage WHERE project = $1 AND ${stateIs(open)} GROUP BY resource_class
     ), live AS (
       SELECT worker.resource_classes,
         NOT EXISTS (SELECT FROM stage WHERE lease_worker = worker.id AND ${stateIs(isLeased)}) AS idle
       FROM worker
       WHERE project = $1 AND last_seen_at > now() - make_interval(secs => $2) AND drain_requested_at IS NULL
     ), serving AS (
       SELECT name AS resource_class, count(*)::int AS workers, (count(*) FILTER (WHERE idle))::int AS free
       FROM live, unnest(live.resource_classes) AS name GROUP BY name
     )
     SELECT resource_class, coalesce(blocked, 0) AS blocked, coalesce(queued, 0) AS queued, coalesce(due, 0) AS due,
       coalesce(running, 0) AS running, oldest_wait_seconds, coalesce(workers, 0) AS workers, coalesce(free, 0) AS free
     FROM waiting FULL JOIN serving USING (resource_class) ORDER BY resource_class`,
    [project, live_seconds],
  )
  return rows
}
