import { Name, PromotionCreate, PromotionList, PromotionView, ReleaseView } from '@limbeck/contracts'
import { getRelease, listPromotions, promote, recordAudit } from '@limbeck/store'
import { z } from 'zod'
import { actorOf, identityOf } from '../auth.ts'
import { type ApiContext, type App, settled } from '../context.ts'
import { IdempotencyHeaders, once } from '../idempotency.ts'
import { route } from '../route.ts'

const tags = ['releases']

export function promotionRoutes(app: App, context: ApiContext): void {
  const { store } = context

  app.post(
    '/v1/promotions',
    route(context, 'promoter', {
      tags,
      summary:
        'Move an alias to a model version whose gates passed; 409 gates_failed lists those that did not',
      headers: IdempotencyHeaders,
      body: PromotionCreate,
      response: { 201: PromotionView },
    }),
    async (request, reply) => {
      const identity = identityOf(request)
      const { body } = request
      const entry = (outcome: unknown) => ({
        project: identity.project,
        actor: actorOf(identity),
        action: 'promotion',
        resource: body.model_version,
        request_id: request.id,
        detail: { alias: body.alias, reason: body.reason, outcome },
      })
      return once(context, request, reply, 201, async () => {
        const result = await promote(store, identity.project, body, actorOf(identity))
        await recordAudit(store, entry(result.ok ? result.value.id : result.error.code))
        return settled(result)
      })
    },
  )

  app.get(
    '/v1/promotions',
    route(context, 'viewer', {
      tags,
      summary: 'The promotion ledger, newest first',
      querystring: z.strictObject({
        alias: Name.optional(),
        limit: z.coerce.number().int().min(1).max(1000).default(200),
      }),
      response: { 200: PromotionList },
    }),
    async (request) => ({
      promotions: await listPromotions(store, identityOf(request).project, request.query),
    }),
  )

  app.get(
    '/v1/releases/:alias',
    route(context, 'viewer', {
      tags,
      summary: 'What an alias stands for now, with its manifest',
      params: z.strictObject({ alias: Name }),
      response: { 200: ReleaseView },
    }),
    async (request) => settled(await getRelease(store, identityOf(request).project, request.params.alias)),
  )
}
