import { digestOf } from '@limbeck/core'
import { abandonIdempotent, beginIdempotent, finishIdempotent } from '@limbeck/store'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { identityOf } from './auth.ts'
import type { ApiContext } from './context.ts'
import { ProblemError } from './problem.ts'

const TTL_SECONDS = 24 * 3600

export const IdempotencyHeaders = z.looseObject({
  'idempotency-key': z
    .string()
    .regex(/^[\x21-\x7e]{1,200}$/, 'must be 1-200 printable ASCII characters without spaces')
    .optional()
    .describe('the same request with the same key again is answered like the first, for a day'),
})

/** The key of a route with {@link IdempotencyHeaders}, or null where none was sent. */
export function idempotencyKeyOf(request: FastifyRequest): string | null {
  const key = request.headers['idempotency-key']
  return typeof key === 'string' ? key : null
}

/** Runs `work` once for a key: the same request again gets the stored answer, another one 422. */
export async function once(
  { store }: ApiContext,
  request: FastifyRequest,
  reply: FastifyReply,
  status: number,
  work: () => Promise<unknown>,
): Promise<FastifyReply> {
  const key = idempotencyKeyOf(request)
  if (key === null) return reply.code(status).send(await work())
  const scope = `${identityOf(request).project} ${request.method} ${request.routeOptions.url}`
  const request_hash = digestOf(request.body ?? null)
  const begun = await beginIdempotent(store, { scope, key, request_hash, ttl_seconds: TTL_SECONDS })
  if (begun.kind === 'reused')
    throw new ProblemError('idempotency_key_reused', `Idempotency-Key ${key} came with another body before`)
  if (begun.kind === 'in_progress')
    throw new ProblemError(
      'idempotency_key_in_progress',
      `the first request with Idempotency-Key ${key} is still running; ask again`,
      { headers: { 'retry-after': '1' } },
    )
  if (begun.kind === 'replay')
    return reply.code(begun.status).header('idempotency-replayed', 'true').send(begun.response)
  try {
    const response = await work()
    await finishIdempotent(store, { scope, key, status, response })
    return reply.code(status).send(response)
  } catch (error) {
    // Nothing was done, or nobody knows: the next try with this key decides again.
    await abandonIdempotent(store, { scope, key })
    throw error
  }
}
