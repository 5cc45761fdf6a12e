import { Name, Scope, SessionCreate } from '@limbeck/contracts'
import {
  createLoginCode,
  createToken,
  newTokenSecret,
  recordAudit,
  revokeToken,
  useLoginCode,
} from '@limbeck/store'
import { z } from 'zod'
import { actorOf, identityOf, SESSION_COOKIE } from '../auth.ts'
import { type ApiContext, type App, settled } from '../context.ts'
import { ProblemError } from '../problem.ts'
import { route } from '../route.ts'

const tags = ['access']
const CODE_SECONDS = 600
const SESSION_DAYS = 7
/** What a browser may do: read, submit, cancel, retry. Tokens and promotions need a token of their own. */
const SESSION_SCOPES: Scope[] = ['viewer', 'submitter']

const SessionCode = z
  .strictObject({ code: z.string().describe('works once'), expires_seconds: z.int() })
  .meta({ id: 'SessionCode' })
const SessionView = z.strictObject({ project: Name, scopes: z.array(Scope) }).meta({ id: 'SessionView' })

export function sessionRoutes(app: App, context: ApiContext): void {
  const { store } = context

  app.post(
    '/v1/session-codes',
    route(context, 'admin', {
      tags,
      summary: 'A one-time code for the dashboard; put it behind "#", where no log sees it',
      body: z.strictObject({}).optional(),
      response: { 201: SessionCode },
    }),
    async (request, reply) => {
      const { project } = identityOf(request)
      const code = newTokenSecret()
      await createLoginCode(store, {
        secret: code,
        project,
        scopes: SESSION_SCOPES,
        expires_seconds: CODE_SECONDS,
      })
      await recordAudit(store, {
        project,
        actor: actorOf(identityOf(request)),
        action: 'session_code.create',
        resource: 'dashboard',
        request_id: request.id,
      })
      return reply.code(201).send({ code, expires_seconds: CODE_SECONDS })
    },
  )

  app.post(
    '/v1/sessions',
    route(
      context,
      null,
      {
        tags,
        summary: 'Exchange a one-time code for the HttpOnly cookie of the dashboard',
        body: SessionCreate,
        response: { 201: SessionView },
      },
      { limit: 'session' },
    ),
    async (request, reply) => {
      const login = await useLoginCode(store, request.body.code)
      if (login === null)
        throw new ProblemError('unauthenticated', 'the code is unknown, expired or was used already')
      const secret = newTokenSecret()
      const { project, scopes } = login
      const token = await createToken(store, {
        project,
        scopes,
        secret,
        name: 'dashboard session',
        expires_days: SESSION_DAYS,
      })
      await recordAudit(store, {
        project,
        actor: 'one-time code',
        action: 'session.create',
        resource: token.id,
        request_id: request.id,
      })
      return reply
        .code(201)
        .setCookie(SESSION_COOKIE, secret, {
          httpOnly: true,
          sameSite: 'strict',
          path: '/',
          secure: request.protocol === 'https',
          maxAge: SESSION_DAYS * 86_400,
        })
        .send({ project, scopes })
    },
  )

  app.delete(
    '/v1/sessions',
    route(context, 'any', {
      tags,
      summary: "End the dashboard's session",
      response: { 200: z.strictObject({ ended: z.boolean() }) },
    }),
    async (request, reply) => {
      const { project, id } = identityOf(request)
      if (request.cookies[SESSION_COOKIE] === undefined || request.headers.authorization !== undefined)
        return { ended: false }
      settled(await revokeToken(store, project, id))
      reply.clearCookie(SESSION_COOKIE, { path: '/' })
      return { ended: true }
    },
  )
}
