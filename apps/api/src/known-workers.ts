import type { ResourceClass } from '@limbeck/contracts'
import { findWorkerClasses } from '@limbeck/store'
import type { ApiContext } from './context.ts'

/** Classes of workers that this process has seen; a registered worker never changes its project. */
const known = new Map<string, readonly ResourceClass[]>()
const KNOWN_LIMIT = 10_000

export function forgetWorker(project: string, worker: string): void {
  known.delete(`${project} ${worker}`)
}

/** The worker's classes; null where the token's project has no such worker. */
export async function workerClasses(
  { store }: ApiContext,
  project: string,
  worker: string,
): Promise<readonly ResourceClass[] | null> {
  const key = `${project} ${worker}`
  const cached = known.get(key)
  if (cached) return cached
  const found = await findWorkerClasses(store, project, worker)
  if (found === null) return null
  if (known.size >= KNOWN_LIMIT) known.clear()
  known.set(key, found)
  return found
}
