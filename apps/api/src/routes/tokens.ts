import { TokenCreate, TokenCreated, TokenId, TokenList, TokenView } from '@limbeck/contracts'
import { createToken, listTokens, newTokenSecret, recordAudit, revokeToken } from '@limbeck/store'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { actorOf, identityOf } from '../auth.ts'
import { type ApiContext, type App, settled } from '../context.ts'
import { ProblemError } from '../problem.ts'
import { route } from '../route.ts'

const tags = ['access']

export function tokenRoutes(app: App, context: ApiContext): void {
  const { store } = context

  const audit = (request: FastifyRequest, action: string, resource: string, detail?: unknown) =>
    recordAudit(store, {
      project: identityOf(request).project,
      actor: actorOf(identityOf(request)),
      action,
      resource,
      request_id: request.id,
      detail,
    })

  app.post(
    '/v1/tokens',
    route(context, 'admin', {
      tags,
      summary: 'Make a token for this project; its secret is shown once',
      body: TokenCreate,
      response: { 201: TokenCreated },
    }),
    async (request, reply) => {
      const { project } = identityOf(request)
      const { body } = request
      if (body.project !== project)
        throw new ProblemError('forbidden', `this token is of project ${project}, not of ${body.project}`)
      const secret = newTokenSecret()
      const token = await createToken(store, { ...body, secret })
      await audit(request, 'token.create', token.id, { name: token.name, scopes: token.scopes })
      return reply.code(201).send({ ...token, token: secret })
    },
  )

  app.get(
    '/v1/tokens',
    route(context, 'admin', {
      tags,
      summary: 'Tokens of this project, without their secrets',
      response: { 200: TokenList },
    }),
    async (request) => ({ tokens: await listTokens(store, identityOf(request).project) }),
  )

  app.delete(
    '/v1/tokens/:token',
    route(context, 'admin', {
      tags,
      summary: 'Revoke a token; its next request gets 401',
      params: z.strictObject({ token: TokenId }),
      response: { 200: TokenView },
    }),
    async (request) => {
      const token = settled(await revokeToken(store, identityOf(request).project, request.params.token))
      await audit(request, 'token.revoke', token.id, { name: token.name })
      return token
    },
  )

  app.get(
    '/v1/whoami',
    route(context, 'any', {
      tags,
      summary: 'The token of this request',
      response: { 200: TokenView.pick({ name: true, prefix: true, scopes: true, project: true }) },
    }),
    async (request) => {
      const { name, prefix, scopes, project } = identityOf(request)
      return { name, prefix, scopes: [...scopes], project }
    },
  )
}
