import { Problem } from '@limbeck/contracts'
import type { FastifySchema, onRequestHookHandler } from 'fastify'
import type { z } from 'zod'
import { requireScope, standsAlone, type Wanted } from './auth.ts'
import type { ApiContext } from './context.ts'
import { RATE_LIMITS } from './rate-limits.ts'

interface RouteOptions {
  /** Largest body in bytes. Default 64 KiB. */
  readonly bodyLimit?: number
  readonly limit?: keyof typeof RATE_LIMITS
}

interface Described {
  readonly summary: string
  readonly description?: string
  readonly tags: readonly string[]
  readonly response: Readonly<Record<number, z.ZodType | object>>
}

const problem = {
  description: 'Problem details',
  content: { 'application/problem+json': { schema: Problem } },
}

/** Options of a route that needs `scope` (null: none), described for OpenAPI, with every error as a problem. */
export function route<S extends FastifySchema & Described>(
  context: ApiContext,
  scope: Wanted | null,
  schema: S,
  { bodyLimit, limit = scope === 'worker' ? 'worker' : 'default' }: RouteOptions = {},
) {
  const security =
    scope === null ? [] : standsAlone(scope) ? [{ token: [] }] : [{ token: [] }, { session: [] }]
  const hooks: onRequestHookHandler[] = scope === null ? [] : [requireScope(context, scope)]
  return {
    onRequest: hooks,
    ...(bodyLimit === undefined ? {} : { bodyLimit }),
    config: { rateLimit: RATE_LIMITS[limit] },
    schema: {
      ...schema,
      ...(scope === null
        ? {}
        : {
            description: [
              schema.description,
              scope === 'any' ? 'Needs a token.' : `Needs the scope ${scope}.`,
            ]
              .filter(Boolean)
              .join(' '),
          }),
      security,
      response: { ...(schema.response as S['response']), '4xx': problem, '5xx': problem },
    } as unknown as S,
  }
}
