import { randomUUID } from 'node:crypto'
import cookie from '@fastify/cookie'
import rateLimit from '@fastify/rate-limit'
import Fastify, { type FastifyRequest } from 'fastify'
import { serializerCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import { decorateIdentity } from './auth.ts'
import type { ApiContext, App } from './context.ts'
import { installDashboard } from './dashboard.ts'
import { installErrorHandler, send } from './errors.ts'
import { installJsonParser } from './json-body.ts'
import { installOpenApi } from './openapi.ts'
import { ProblemError } from './problem.ts'
import { callerKey, RATE_LIMITS } from './rate-limits.ts'
import { registerRoutes } from './routes/index.ts'
import { validatorCompiler } from './validation.ts'

const DEFAULT_BODY_BYTES = 64 * 1024

const requestIdOf = (header: string | string[] | undefined): string =>
  typeof header === 'string' && /^[A-Za-z0-9._-]{1,64}$/.test(header) ? header : randomUUID()

/** The HTTP server, ready to listen; the caller closes it. */
export async function buildServer(context: ApiContext): Promise<App> {
  const app = Fastify({
    logger: false,
    bodyLimit: DEFAULT_BODY_BYTES,
    genReqId: (request) => requestIdOf(request.headers['x-request-id']),
    // Held requests take up to 30 s, and a part of the body every so often must come.
    connectionTimeout: 0,
    requestTimeout: 60_000,
    keepAliveTimeout: 65_000,
    forceCloseConnections: 'idle',
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 2_000 },
  }).withTypeProvider<ZodTypeProvider>()

  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  decorateIdentity(app)
  installJsonParser(app)
  installErrorHandler(app, context.log)
  installObservation(app, context)
  await app.register(cookie)
  await app.register(rateLimit, {
    global: true,
    max: RATE_LIMITS.default.max,
    timeWindow: RATE_LIMITS.default.timeWindow,
    cache: 20_000,
    hook: 'onRequest',
    keyGenerator: callerKey,
    errorResponseBuilder: (_request, { after, max }) =>
      new ProblemError('rate_limited', `more than ${max} requests in this window; try again in ${after}`),
  })
  await installOpenApi(app)
  await app.register(async (scope) => registerRoutes(scope.withTypeProvider<ZodTypeProvider>(), context))
  const served = await installDashboard(app, context)
  app.setNotFoundHandler((request, reply) => {
    if (served && wantsPage(request)) return reply.sendFile('index.html')
    const path = request.url.split('?')[0]
    return send(reply, request, new ProblemError('not_found', `there is no ${request.method} ${path}`))
  })
  return app
}

/** A page of the dashboard has an address of its own, which the browser's router understands. */
const wantsPage = (request: FastifyRequest): boolean =>
  request.method === 'GET' &&
  !/^\/(v1|assets)\//.test(request.url) &&
  (request.headers.accept ?? '').includes('text/html')

function installObservation(app: App, { log, metrics }: ApiContext): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({
      'x-request-id': request.id,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
    })
  })
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none'
    const seconds = reply.elapsedTime / 1000
    metrics.requests.observe({ method: request.method, route, status: reply.statusCode }, seconds)
    const level = request.method === 'GET' || route.startsWith('/v1/worker/') ? 'debug' : 'info'
    log[level]('request', {
      request_id: request.id,
      method: request.method,
      route,
      status: reply.statusCode,
      milliseconds: Math.round(reply.elapsedTime),
      caller: request.identity?.prefix,
    })
  })
}
