import { EventPage, RunId } from '@limbeck/contracts'
import { getRun, latestCursor, readEvents } from '@limbeck/store'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { identityOf } from '../auth.ts'
import { type ApiContext, type App, settled } from '../context.ts'
import { streamEvents, viewOf } from '../event-stream.ts'
import { ProblemError } from '../problem.ts'
import { route } from '../route.ts'

const tags = ['runs']

const Cursor = z.string().regex(/^\d{1,20}:\d{1,20}$/, 'must be a cursor as in an event, "xid:id"')
const querystring = z.strictObject({
  after: Cursor.optional().describe('go on behind this cursor; the header Last-Event-ID goes before it'),
  limit: z.coerce.number().int().min(1).max(1000).default(200).describe('of a page; a stream has none'),
})

const lastEventId = (request: FastifyRequest): string | undefined => {
  const header = request.headers['last-event-id']
  if (header === undefined || header === '') return undefined
  const parsed = Cursor.safeParse(header)
  if (parsed.success) return parsed.data
  throw new ProblemError(
    'invalid_request',
    `Last-Event-ID is ${JSON.stringify(header)}; ${parsed.error.issues[0]?.message}`,
    {
      errors: [{ path: 'Last-Event-ID', message: 'must be a cursor, "xid:id"' }],
    },
  )
}

const description =
  'With Accept: text/event-stream a stream: the id of each message is its cursor, a comment every 15 s keeps the ' +
  'connection alive, and a client goes on with Last-Event-ID. Otherwise a page.'

export function eventRoutes(app: App, context: ApiContext): void {
  const { store } = context

  /** `start`: where a reader without a cursor begins. */
  const answer = async (
    request: FastifyRequest<{ Querystring: z.infer<typeof querystring> }>,
    reply: FastifyReply,
    run: string | null,
    start: () => Promise<string>,
  ) => {
    const { project } = identityOf(request)
    const after = lastEventId(request) ?? request.query.after ?? (await start())
    if ((request.headers.accept ?? '').includes('text/event-stream')) {
      await streamEvents(context, request, reply, { project, run }, after)
      return reply
    }
    const filter = run === null ? { project } : { project, run }
    const events = settled(await readEvents(store, { ...filter, after, limit: request.query.limit }))
    return { events: events.map(viewOf), cursor: events.at(-1)?.cursor ?? after }
  }

  app.get(
    '/v1/events',
    route(context, 'viewer', {
      tags,
      summary: 'Events of the project, from now on unless a cursor is given',
      description,
      querystring,
      response: { 200: EventPage },
    }),
    async (request, reply) => answer(request, reply, null, () => latestCursor(store)),
  )

  app.get(
    '/v1/runs/:run/events',
    route(context, 'viewer', {
      tags,
      summary: 'Events of a run, from its beginning unless a cursor is given',
      description,
      params: z.strictObject({ run: RunId }),
      querystring,
      response: { 200: EventPage },
    }),
    async (request, reply) => {
      const { run } = request.params
      settled(await getRun(store, identityOf(request).project, run))
      return answer(request, reply, run, async () => '')
    },
  )
}
