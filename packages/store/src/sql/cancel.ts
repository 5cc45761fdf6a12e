import { isLive } from '@limbeck/core'
import type { Queryable } from '../transaction.ts'
import { stateIs } from './states.ts'

/**
 * Stores the intent on the live stages of a run: no change of state, but an event of its own that wakes the heartbeats.
 * Only running ones get a deadline. Index: unique (run_id, name).
 */
export async function requestLiveCancels(tx: Queryable, run: string, cancel_seconds: number): Promise<void> {
  await tx.query(
    `WITH asked AS (
       UPDATE stage SET cancel_requested_at = now(),
         cancel_deadline = CASE WHEN lease_worker IS NOT NULL THEN now() + make_interval(secs => $2) END
       WHERE run_id = $1 AND cancel_requested_at IS NULL AND ${stateIs(isLive)}
       RETURNING id, project, run_id, name, state, epoch
     )
     INSERT INTO event (project, run_id, stage_id, type, payload)
     SELECT project, run_id, id, 'stage.cancel_requested',
       jsonb_build_object('name', name, 'state', state, 'epoch', epoch) FROM asked`,
    [run, cancel_seconds],
  )
}
