import type { Logger } from '@limbeck/platform'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { isResponseSerializationError } from 'fastify-type-provider-zod'
import type { App } from './context.ts'
import { ProblemError, problemBody } from './problem.ts'

/** Fastify's own refusals, by its codes, as ours. */
function fromFastify(error: FastifyError): ProblemError | null {
  switch (error.code) {
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new ProblemError('malformed_json', error.message)
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new ProblemError('body_too_large', error.message)
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
    case 'FST_ERR_CTP_INVALID_TYPE':
      return new ProblemError('unsupported_media_type', `${error.message}; allowed: application/json`)
    default:
      return error.statusCode === 400 ? new ProblemError('malformed_json', error.message) : null
  }
}

/** Names of what drivers throw when Postgres, Redis or S3 is away or out of connections. */
const AWAY =
  /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND|EAI_AGAIN|57P0[123]|53300|08\d{3})$/
const AWAY_MESSAGE =
  /timeout exceeded when trying to connect|Connection terminated|Query read timeout|statement timeout|socket hang up/i

export function isAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (error instanceof AggregateError && error.errors.some(isAway)) return true
  const { code, cause } = error as Error & { code?: unknown }
  if (typeof code === 'string' && AWAY.test(code)) return true
  if (AWAY_MESSAGE.test(error.message) || error.name === 'TimeoutError') return true
  return cause !== undefined && isAway(cause)
}

function toProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error
  const known = fromFastify(error as FastifyError)
  if (known) return known
  if (isAway(error))
    return new ProblemError('unavailable', 'a server that the API needs does not answer; try again', {
      headers: { 'retry-after': '1' },
    })
  return new ProblemError('internal', 'an unexpected error; the log has it under this request id')
}

function logged(error: unknown): Record<string, unknown> {
  if (isResponseSerializationError(error)) return { error, issues: error.cause.issues.slice(0, 10) }
  return { error }
}

export function send(reply: FastifyReply, request: FastifyRequest, problem: ProblemError): FastifyReply {
  return reply
    .code(problem.status)
    .headers(problem.extras.headers ?? {})
    .type('application/problem+json')
    .serializer((body: unknown) => JSON.stringify(body))
    .send(problemBody(problem, request.id))
}

export function installErrorHandler(app: App, log: Logger): void {
  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error)
    const where = { request_id: request.id, method: request.method, route: request.routeOptions.url }
    if (problem.code === 'internal') log.error('request_failed', { ...where, ...logged(error) })
    if (problem.code === 'unavailable') log.warn('server_away', { ...where, ...logged(error) })
    return send(reply, request, problem)
  })
}
