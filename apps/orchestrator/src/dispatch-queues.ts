import { ResourceClass } from '@limbeck/contracts'
import { closeWithin, openQueue, producerConnection } from '@limbeck/platform'

/** What a doorbell says: ids only, nothing that Postgres does not decide. */
interface Doorbell {
  stage?: string
  epoch?: number
}

export interface Ring {
  readonly resource_class: ResourceClass
  /** Two rings of one id while the first waits are one. */
  readonly id: string
  readonly data: Doorbell
  /** 0 to 100, higher goes first. */
  readonly priority: number
  /** Milliseconds until it shall ring. */
  readonly delay: number
}

export interface DispatchQueues {
  /** @throws Error when Redis is away, at once. */
  ring(rings: readonly Ring[]): Promise<void>
  close(): Promise<void>
}

/** Stages of the control plane have no worker to wake. */
const CLASSES = ResourceClass.options.filter((name) => name !== 'control')
const LONGEST_DELAY_MS = 24 * 3600_000

type Queues = Map<ResourceClass, ReturnType<typeof openQueue<Doorbell>>>

/** A BullMQ queue a resource class, `dispatch-cpu`: where API replicas listen while claims wait. */
export function openDispatchQueues(redisUrl: string, prefix = 'limbeck'): DispatchQueues {
  const connection = producerConnection(redisUrl)
  let queues: Queues | null = null
  const open = (): Queues =>
    new Map(
      CLASSES.map((name) => [
        name,
        openQueue<Doorbell>(
          `dispatch-${name}`,
          { connection, prefix },
          // A kept job would swallow the next ring of its id.
          { removeOnComplete: true, removeOnFail: true, attempts: 1 },
        ),
      ]),
    )
  const close = async () => {
    const open = [...(queues?.values() ?? [])]
    queues = null
    await closeWithin(1_000, ...open.map((queue) => () => queue.close()))
  }
  return {
    async ring(rings) {
      if (rings.length === 0) return
      if (connection.status !== 'ready') throw new Error(`Redis is away (connection ${connection.status})`)
      // A BullMQ queue asks for the server's version once, when it is made: one made while Redis was away stays broken.
      queues ??= open()
      try {
        for (const [name, queue] of queues) {
          const jobs = rings.filter((ring) => ring.resource_class === name).map(jobOf)
          if (jobs.length > 0) await queue.addBulk(jobs)
        }
      } catch (error) {
        await close()
        throw error
      }
    },
    async close() {
      await close()
      connection.disconnect()
    },
  }
}

const jobOf = ({ id, data, priority, delay }: Ring) => ({
  name: 'ring',
  data,
  opts: {
    jobId: id,
    // BullMQ: 1 is the most urgent.
    priority: 101 - priority,
    delay: Math.min(Math.max(0, Math.round(delay)), LONGEST_DELAY_MS),
  },
})
