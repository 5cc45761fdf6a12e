import {
  EvaluationList,
  ModelVersionId,
  ModelVersionList,
  ModelVersionView,
  PublishedList,
  RunId,
} from '@limbeck/contracts'
import { publishedModels } from '@limbeck/core'
import { getModel, listEvaluations, listModels } from '@limbeck/store'
import { z } from 'zod'
import { identityOf } from '../auth.ts'
import { type ApiContext, type App, settled } from '../context.ts'
import { route } from '../route.ts'

const tags = ['releases']
const querystring = z.strictObject({
  run: RunId.optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(200),
})

export function modelRoutes(app: App, context: ApiContext): void {
  const { store } = context

  app.get(
    '/v1/evaluations',
    route(context, 'viewer', {
      tags,
      summary: 'Evaluations with their protocols, newest first',
      querystring,
      response: { 200: EvaluationList },
    }),
    async (request) => ({
      evaluations: await listEvaluations(store, identityOf(request).project, request.query),
    }),
  )

  app.get(
    '/v1/evaluations/published',
    route(context, 'viewer', {
      tags,
      summary: 'Scores that others published, under protocols of their own: for orientation',
      response: { 200: PublishedList },
    }),
    async () => ({ models: [...publishedModels] }),
  )

  app.get(
    '/v1/models',
    route(context, 'viewer', {
      tags,
      summary: 'Model versions with their gates, newest first',
      querystring,
      response: { 200: ModelVersionList },
    }),
    async (request) => ({ models: await listModels(store, identityOf(request).project, request.query) }),
  )

  app.get(
    '/v1/models/:id',
    route(context, 'viewer', {
      tags,
      summary: 'A model version',
      params: z.strictObject({ id: ModelVersionId }),
      response: { 200: ModelVersionView },
    }),
    async (request) => settled(await getModel(store, identityOf(request).project, request.params.id)),
  )
}
