import { ArrayPoints, MetricQuery, RunId, SeriesList, SeriesPoints } from '@limbeck/contracts'
import { listSeries, queryArrays, querySeries } from '@limbeck/store'
import { z } from 'zod'
import { identityOf } from '../auth.ts'
import { type ApiContext, type App, settled } from '../context.ts'
import { route } from '../route.ts'

const tags = ['metrics']

export function metricRoutes(app: App, context: ApiContext): void {
  const { store } = context

  app.get(
    '/v1/runs/:run/series',
    route(context, 'viewer', {
      tags,
      summary: 'Names of the series of a run, with their last values',
      params: z.strictObject({ run: RunId }),
      response: { 200: SeriesList },
    }),
    async (request) => settled(await listSeries(store, identityOf(request).project, request.params.run)),
  )

  app.get(
    '/v1/metrics/scalars',
    route(context, 'viewer', {
      tags,
      summary: 'A scalar series in buckets of equal width, with min, max, last and non-finite counts',
      querystring: MetricQuery,
      response: { 200: SeriesPoints },
    }),
    async (request) => settled(await querySeries(store, identityOf(request).project, request.query)),
  )

  app.get(
    '/v1/metrics/arrays',
    route(context, 'viewer', {
      tags,
      summary: 'Rows of a statistic over t by step',
      querystring: MetricQuery,
      response: { 200: ArrayPoints },
    }),
    async (request) => settled(await queryArrays(store, identityOf(request).project, request.query)),
  )
}
