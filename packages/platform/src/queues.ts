/**
 * BullMQ on Redis or Valkey. Two kinds of connection, because BullMQ needs opposite things of them: a worker waits
 * for ever in blocking commands and must survive an outage; a producer serves a request and must fail at once.
 */
import { type Job, Queue, type QueueOptions, Worker, type WorkerOptions } from 'bullmq'
import { Redis } from 'ioredis'

/** Finished jobs are kept for a look at what happened, and no longer: Postgres holds the truth. */
const keep = {
  removeOnComplete: { count: 1_000, age: 3_600 },
  removeOnFail: { count: 1_000, age: 24 * 3_600 },
} as const

const connectTimeoutMs = 5_000
const reconnectMs = (times: number): number => Math.min(100 * 2 ** Math.min(times, 6), 2_000)

/** For `Worker`: retries for ever, as BullMQ demands of blocking connections. */
export function workerConnection(redisUrl: string): Redis {
  const client = new Redis(redisUrl, {
    maxRetriesPerRequest: null,
    connectTimeout: connectTimeoutMs,
    retryStrategy: reconnectMs,
  })
  return withoutUnhandledErrors(client)
}

/** For `Queue` in a request's way: a command fails while the server is away, and nothing piles up in memory. */
export function producerConnection(redisUrl: string): Redis {
  const client = new Redis(redisUrl, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    connectTimeout: connectTimeoutMs,
    commandTimeout: 5_000,
    retryStrategy: reconnectMs,
  })
  return withoutUnhandledErrors(client)
}

/** An 'error' event without a listener ends the process; BullMQ and the callers report failures themselves. */
function withoutUnhandledErrors(client: Redis): Redis {
  client.on('error', () => {})
  return client
}

export interface QueueSettings {
  readonly connection: Redis
  /** Prefix of all keys. Default `limbeck`; tests take their own. */
  readonly prefix?: string
}

/** Queue names are letters, digits and hyphens: BullMQ uses the colon in its keys. @throws RangeError */
export function checkQueueName(name: string): string {
  if (!/^[a-z0-9-]{1,64}$/.test(name))
    throw new RangeError(`queue name is ${JSON.stringify(name)}; allowed: 1-64 of a-z, 0-9, "-"`)
  return name
}

/** @param jobs defaults for each job; completed and failed ones are always limited in number and age. */
export function openQueue<Data, Result = void>(
  name: string,
  { connection, prefix = 'limbeck' }: QueueSettings,
  jobs: QueueOptions['defaultJobOptions'] = {},
): Queue<Data, Result> {
  const queue = new Queue<Data, Result>(checkQueueName(name), {
    connection,
    prefix,
    defaultJobOptions: { ...keep, ...jobs },
    // A producer's client may be away when the queue is made; commands say so when they are used.
    skipWaitingForReady: true,
  })
  queue.on('error', () => {})
  return queue as Queue<Data, Result>
}

export interface WorkerSettings extends QueueSettings {
  /** Jobs at the same time. Default 1. */
  readonly concurrency?: number
  readonly onError: (error: Error) => void
}

/** Processors take milliseconds: long work would lose its lock and run twice. */
export function openWorker<Data, Result = void>(
  name: string,
  process: (job: Job<Data, Result>) => Promise<Result>,
  { connection, prefix = 'limbeck', concurrency = 1, onError }: WorkerSettings,
  options: Partial<WorkerOptions> = {},
): Worker<Data, Result> {
  const worker = new Worker<Data, Result>(checkQueueName(name), process, {
    connection,
    prefix,
    concurrency,
    ...keep,
    ...options,
  })
  worker.on('error', onError)
  return worker
}

/** Closes a queue, worker or connection; with the server away that may never end, so it has a limit. */
export async function closeWithin(
  limitMs: number,
  ...closers: readonly (() => Promise<unknown>)[]
): Promise<void> {
  const timer = new Promise((resolve) => setTimeout(resolve, limitMs).unref())
  await Promise.race([Promise.allSettled(closers.map((close) => close())), timer])
}
