import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { EventView } from '@limbeck/contracts'
import { type FeedEvent, readEvents } from '@limbeck/store'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { type ApiContext, settled } from './context.ts'
import type { EventFilter } from './event-hub.ts'
import { ProblemError } from './problem.ts'

const STREAMS_LIMIT = 500
const HEARTBEAT_MS = 15_000
/** A client that takes nothing for so long is gone or stuck. */
const DRAIN_MS = 30_000
/** What the client shall wait before it comes again. */
const RETRY_MS = 2_000
const BATCH = 200

export const viewOf = ({ project: _project, ...event }: FeedEvent): z.infer<typeof EventView> =>
  event as z.infer<typeof EventView>

const message = (event: FeedEvent): string =>
  `id: ${event.cursor}\ndata: ${JSON.stringify(viewOf(event))}\n\n`

/**
 * Server-sent events behind `after` until the client goes or the server stops. Nothing is buffered beyond a batch: the
 * next one is read from Postgres when the socket has taken this one.
 */
export async function streamEvents(
  context: ApiContext,
  request: FastifyRequest,
  reply: FastifyReply,
  filter: EventFilter,
  after: string,
): Promise<void> {
  const { hub, metrics, stopping, log } = context
  if (hub.size >= STREAMS_LIMIT)
    throw new ProblemError('unavailable', `this replica serves ${STREAMS_LIMIT} event streams already`, {
      headers: { 'retry-after': '5' },
    })
  const subscription = await hub.subscribe(filter)
  const gone = new AbortController()
  reply.raw.once('close', () => gone.abort())
  // Without a listener, a write to a socket that has just gone would end the process.
  reply.raw.on('error', () => gone.abort())
  const signal = AbortSignal.any([gone.signal, stopping])
  metrics.streams.inc()
  try {
    reply.hijack()
    reply.raw.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
      'x-request-id': request.id,
    })
    reply.raw.write(`retry: ${RETRY_MS}\n\n`)
    await pump(context, reply.raw, { ...filter, after }, subscription.next, signal)
  } catch (error) {
    if (!signal.aborted) {
      log.warn('event_stream_failed', { request_id: request.id, error })
      // What the client did not take must not be kept for it.
      reply.raw.destroy()
    }
  } finally {
    metrics.streams.dec()
    subscription.close()
    reply.raw.end(`retry: ${RETRY_MS}\n\n`)
  }
}

async function pump(
  { store, log }: ApiContext,
  socket: ServerResponse,
  { project, run, after }: EventFilter & { after: string },
  next: (milliseconds: number, signal: AbortSignal) => Promise<boolean>,
  signal: AbortSignal,
): Promise<void> {
  let cursor = after
  while (!signal.aborted) {
    let events: FeedEvent[] = []
    try {
      const filter = run === null ? { project } : { project, run }
      events = settled(await readEvents(store, { ...filter, after: cursor, limit: BATCH }))
    } catch (error) {
      // Postgres is away. The stream stays, and says so by its silence; the client's view shows its age.
      log.warn('event_read_failed', { error })
      await sleep(1_000, undefined, { signal }).catch(() => {})
    }
    if (events.length > 0) {
      cursor = events.at(-1)?.cursor ?? cursor
      await write(socket, events.map(message).join(''), signal)
    }
    if (events.length < BATCH && !(await next(HEARTBEAT_MS, signal)) && !signal.aborted)
      await write(socket, ': still here\n\n', signal)
  }
}

async function write(socket: ServerResponse, text: string, signal: AbortSignal): Promise<void> {
  if (socket.write(text)) return
  const limit = AbortSignal.any([signal, AbortSignal.timeout(DRAIN_MS)])
  await once(socket, 'drain', { signal: limit })
}
