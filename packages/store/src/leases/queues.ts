import type { QueueList } from '@limbeck/contracts'
import type { z } from 'zod'
import { selectQueues } from '../sql/queues.ts'
import type { Store } from '../store.ts'

/** Classes in which something waits or runs, or that a connected worker serves. */
export async function listQueues(store: Store, project: string): Promise<z.infer<typeof QueueList>> {
  const classes = await selectQueues(store.pool, project, store.timing.lease_seconds)
  const sum = (key: 'running' | 'queued') => classes.reduce((total, row) => total + row[key], 0)
  return { classes, project: { name: project, running: sum('running'), queued: sum('queued') } }
}
