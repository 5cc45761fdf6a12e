import { LogPage, LogQuery, StageDetail, StageId } from '@limbeck/contracts'
import { getStage, readLogs } from '@limbeck/store'
import { z } from 'zod'
import { identityOf } from '../auth.ts'
import { type ApiContext, type App, settled } from '../context.ts'
import { route } from '../route.ts'

const tags = ['runs']
const params = z.strictObject({ stage: StageId })

export function stageRoutes(app: App, context: ApiContext): void {
  const { store } = context

  app.get(
    '/v1/stages/:stage',
    route(context, 'viewer', {
      tags,
      summary: 'A stage with its parameters and inputs',
      params,
      response: { 200: StageDetail },
    }),
    async (request) => settled(await getStage(store, identityOf(request).project, request.params.stage)),
  )

  app.get(
    '/v1/stages/:stage/logs',
    route(context, 'viewer', {
      tags: ['metrics'],
      summary: 'Log lines of all attempts, by position',
      params,
      querystring: LogQuery,
      response: { 200: LogPage },
    }),
    async (request) => {
      const { from, limit } = request.query
      return settled(await readLogs(store, identityOf(request).project, request.params.stage, from, limit))
    },
  )
}
