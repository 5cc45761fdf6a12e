import { z } from 'zod'
import type { ApiContext, App, Health } from '../context.ts'
import { ProblemError } from '../problem.ts'
import { route } from '../route.ts'

const tags = ['service']

const HealthView = z
  .strictObject({
    status: z
      .enum(['ok', 'degraded'])
      .describe('degraded: Redis is away; everything goes on, waiting claims are woken by the clock'),
    servers: z.record(
      z.enum(['postgres', 'redis', 's3']),
      z.strictObject({ works: z.boolean(), milliseconds: z.int() }),
    ),
  })
  .meta({ id: 'HealthView' })
type HealthView = z.infer<typeof HealthView>

/** Whoever asks more often than this gets the last answer: the check writes to all three servers. */
const FRESH_MS = 1_000

function healthCheck(health: Health): () => Promise<HealthView> {
  let last: { at: number; view: Promise<HealthView> } | null = null
  return () => {
    if (last === null || Date.now() - last.at > FRESH_MS) last = { at: Date.now(), view: look(health) }
    return last.view
  }
}

async function look(health: Health): Promise<HealthView> {
  const test = async (check: () => Promise<void>) => {
    const start = performance.now()
    const works = await check().then(
      () => true,
      () => false,
    )
    return { works, milliseconds: Math.round(performance.now() - start) }
  }
  const [postgres, redis, s3] = await Promise.all([
    test(health.postgres),
    test(health.redis),
    test(health.s3),
  ])
  return { status: redis.works ? 'ok' : 'degraded', servers: { postgres, redis, s3 } }
}

export function healthRoutes(app: App, context: ApiContext): void {
  const check = healthCheck(context.health)

  app.get(
    '/v1/live',
    route(context, null, {
      tags,
      summary: 'The process answers',
      response: { 200: z.strictObject({ status: z.literal('live') }) },
    }),
    async () => ({ status: 'live' as const }),
  )

  app.get(
    '/v1/health',
    route(context, null, {
      tags,
      summary: 'Whether the API can work: a statement, a key and an upload are really tried',
      response: { 200: HealthView },
    }),
    async () => {
      if (context.stopping.aborted) throw new ProblemError('unavailable', 'the API is stopping')
      const view = await check()
      const away = (['postgres', 's3'] as const).filter((server) => !view.servers[server].works)
      if (away.length > 0)
        throw new ProblemError('unavailable', `does not work: ${away.join(', ')}`, {
          errors: away.map((path) => ({ path, message: 'did not work within its limit' })),
        })
      return view
    },
  )

  app.get('/metrics', { schema: { hide: true } as object }, async (_request, reply) => {
    const { registry } = context.metrics
    return reply.type(registry.contentType).send(await registry.metrics())
  })
}
