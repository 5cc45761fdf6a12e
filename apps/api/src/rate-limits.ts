import { createHash } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { SESSION_COOKIE } from './auth.ts'

/**
 * Requests a caller may make in a window. A caller is a token, or an address where none was sent. The limits stop
 * runaway loops; they are far above what a dashboard or an agent needs.
 */
export const RATE_LIMITS = {
  /** Dashboards with many charts open: dozens of queries a second for a moment. */
  default: { max: 6_000, timeWindow: 60_000 },
  /** Agents: metrics of several stages, one request a batch; a token may serve many workers. */
  worker: { max: 120_000, timeWindow: 60_000 },
  /** Guessing one-time codes. */
  session: { max: 20, timeWindow: 60_000 },
} as const

/** Hashed: the limiter's table holds no secret. */
export function callerKey(request: FastifyRequest): string {
  const secret = request.headers.authorization ?? request.cookies?.[SESSION_COOKIE]
  if (secret === undefined) return `ip:${request.ip}`
  return createHash('sha256').update(secret).digest('base64url')
}
