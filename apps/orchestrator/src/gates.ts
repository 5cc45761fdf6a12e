import { evaluateGates } from '@limbeck/core'
import type { Logger } from '@limbeck/platform'
import { listGatesStages, type Store, settleGates } from '@limbeck/store'

const BATCH = 20

/** Judges the runs whose other stages are done. Nothing is taken: the second of two settles finds it settled. */
export async function gatesRound(store: Store, log: Logger): Promise<boolean> {
  const stages = await listGatesStages(store, BATCH)
  for (const { stage, run, recipe, results } of stages) {
    const gates = evaluateGates(recipe, results)
    const settled = await settleGates(store, stage, gates)
    if (!settled.ok) {
      log.warn('gates_not_settled', { stage, run, ...settled.error })
      continue
    }
    const failed = gates.filter((gate) => !gate.passed).map((gate) => gate.name)
    log.info('gates_settled', { stage, run, model_version: settled.value.model_version, failed })
  }
  return stages.length === BATCH
}
