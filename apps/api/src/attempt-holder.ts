import type { StageId, WorkerId } from '@limbeck/contracts'
import { getStage } from '@limbeck/store'
import { type ApiContext, settled } from './context.ts'
import { ProblemError } from './problem.ts'

/** An attempt's worker never changes, so it is remembered. */
const known = new Map<string, WorkerId>()
const KNOWN_LIMIT = 10_000

/** The worker that holds or held the attempt. @throws ProblemError not_found, lease_lost where there is no such attempt */
export async function holderOf(
  { store }: ApiContext,
  project: string,
  stage: StageId,
  epoch: number,
): Promise<WorkerId> {
  const key = `${project} ${stage} ${epoch}`
  const cached = known.get(key)
  if (cached) return cached
  const { attempts } = settled(await getStage(store, project, stage))
  const worker = attempts.find((attempt) => attempt.epoch === epoch)?.worker
  if (!worker) throw new ProblemError('lease_lost', `stage ${stage} has no attempt ${epoch}`)
  if (known.size >= KNOWN_LIMIT) known.clear()
  known.set(key, worker)
  return worker
}
