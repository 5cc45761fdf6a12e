import type { RunView } from '@limbeck/contracts'
import type { ApiContext } from './context.ts'

/**
 * Claims and heartbeats that wait in this process hear of a change at once; the relay and the clock reach those in
 * other replicas. Only a hint: what is claimed and answered, Postgres decides.
 */
export function signalRun({ doorbells, held }: ApiContext, run: RunView): void {
  for (const stage of run.stages) {
    if (stage.state === 'queued') doorbells.ring(stage.resource_class)
    if (stage.cancel_requested_at !== null) held.wake(stage.id)
  }
}
