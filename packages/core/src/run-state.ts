import type { RunState, StageState } from '@limbeck/contracts'
import { isCancelled, isFailed, isLive, isTerminal } from './state-machine.ts'

/**
 * A run has no state of its own: it follows from its stages. A failed stage names the outcome even where the
 * user cancelled the rest afterwards, because it is what there is to repair.
 */
export function deriveRunState(
  stages: readonly { readonly state: StageState; readonly epoch: number }[],
  cancelRequested: boolean,
): RunState {
  const states = stages.map((stage) => stage.state)
  if (states.some(isLive)) return cancelRequested ? 'cancelling' : 'running'
  if (!states.every(isTerminal))
    return stages.some((stage) => isTerminal(stage.state) || stage.epoch > 0) ? 'running' : 'queued'
  if (states.some(isFailed)) return 'failed'
  return states.some(isCancelled) ? 'cancelled' : 'succeeded'
}

export const isRunEnded = (state: RunState): boolean =>
  state === 'succeeded' || state === 'failed' || state === 'cancelled'
