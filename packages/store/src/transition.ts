import type { EndReason, ResourceClass, StageState } from '@limbeck/contracts'
import { nextState, type StageCommand, type StageGuard, sourceStates } from '@limbeck/core'
import type { StageRow } from './rows.ts'
import type { Queryable } from './transaction.ts'

/** What the feed tells of a transition. */
export interface StageChangedPayload {
  name: string
  kind: string
  from: StageState
  state: StageState
  command: StageCommand
  epoch: number
  reason: EndReason | null
  cached: boolean
  resource_class: ResourceClass
  priority: number
  /** Seconds since 1970 on the database's clock; null unless queued. */
  next_attempt_at: number | null
}

/** The columns a transition sets beside the state; parameters start at $7. */
export interface TransitionStatement {
  readonly name: string
  readonly text: string
}

/**
 * Every transition is this one statement: conditional on id, epoch and the states that the table of core allows,
 * with its event. Relies on the primary key of stage.
 */
export const transitionStatement = (name: string, set: string): TransitionStatement => ({
  name,
  text: `
WITH changed AS (
  UPDATE stage SET state = $4, ${set}
  WHERE id = $1 AND epoch = $2 AND state = ANY($3::text[])
  RETURNING *
), noted AS (
  INSERT INTO event (project, run_id, stage_id, type, payload)
  SELECT project, run_id, id, 'stage.changed', jsonb_build_object(
    'name', name, 'kind', kind, 'from', $5::text, 'state', state, 'command', $6::text, 'epoch', epoch,
    'reason', reason, 'cached', cached, 'resource_class', resource_class, 'priority', priority,
    'next_attempt_at', extract(epoch FROM next_attempt_at))
  FROM changed
)
SELECT * FROM changed`,
})

/**
 * The one writer of a stage's state. The caller holds the lock of the run and read `stage` under it.
 * @returns the stage as it is now; null where the table has no such row or the stage has moved on: a conflict
 */
export async function applyTransition(
  tx: Queryable,
  stage: Pick<StageRow, 'id' | 'epoch' | 'state'>,
  command: StageCommand,
  guard: StageGuard,
  statement: TransitionStatement,
  values: readonly unknown[],
): Promise<StageRow | null> {
  const to = nextState(stage.state, command, guard)
  if (to === null) return null
  const { rows } = await tx.query<StageRow>(statement.text, [
    stage.id,
    stage.epoch,
    sourceStates(command, guard, to).filter((state) => state === stage.state),
    to,
    stage.state,
    command,
    ...values,
  ])
  return rows[0] ?? null
}
