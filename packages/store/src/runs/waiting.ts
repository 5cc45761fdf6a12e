import { isBlocked, isQueued } from '@limbeck/core'
import type { StageRow } from '../rows.ts'
import type { WaitingRow } from '../sql/run-views.ts'

/** One sentence on why a stage has not started; null where it has. */
export function waitingMessage(stage: StageRow, waiting: WaitingRow | undefined): string | null {
  if (isBlocked(stage.state)) return `waits for ${stage.needs.join(', ')}`
  if (!isQueued(stage.state) || waiting === undefined) return null
  const before = stage.message === null ? '' : `${stage.message}; `
  if (waiting.due_in > 0) return `${before}next attempt in ${Math.ceil(waiting.due_in)} s`
  if (stage.resource_class === 'control') return `${before}waits for the orchestrator`
  if (waiting.workers === 0)
    return `${before}no worker of class ${stage.resource_class} is connected; start one with ./limbeck worker`
  if (waiting.fitting === 0)
    return (
      `${before}no connected worker has the code ${stage.code_digest?.slice(0, 12)} and the numeric environment ` +
      'that the first attempt was pinned to; cancel and retry the run to take the present workers'
    )
  if (waiting.free === 0)
    return `${before}all ${waiting.fitting} fitting workers of class ${stage.resource_class} are busy`
  return `${before}waits for a worker to take it, or for an identical stage that is being computed`
}
