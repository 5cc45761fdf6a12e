import { Scope } from '@limbeck/contracts'
import { findToken } from '@limbeck/store'
import type { FastifyRequest, onRequestHookHandler } from 'fastify'
import type { ApiContext, App } from './context.ts'
import { ProblemError } from './problem.ts'

/** Who asks: a live token, sent as a bearer or by the dashboard's cookie. */
export interface Identity {
  readonly id: string
  readonly name: string
  readonly prefix: string
  readonly project: string
  readonly scopes: readonly Scope[]
}

export const SESSION_COOKIE = 'limbeck_session'

declare module 'fastify' {
  interface FastifyRequest {
    identity: Identity | null
  }
}

/** Of machines: neither includes another scope nor is included in one. */
const ALONE: readonly Wanted[] = ['worker', 'device']

export const standsAlone = (wanted: Wanted): boolean => ALONE.includes(wanted)

/** A scope includes those before it in the contract's list, except those that stand alone. */
export function hasScope(scopes: readonly Scope[], wanted: Scope): boolean {
  if (standsAlone(wanted)) return scopes.includes(wanted)
  const rank = Scope.options.indexOf(wanted)
  return scopes.some((scope) => !standsAlone(scope) && Scope.options.indexOf(scope) >= rank)
}

/** The token of a request that passed {@link requireScope}; null where a cookie came instead. */
export const bearerOf = (request: FastifyRequest): string | null =>
  request.headers.authorization === undefined ? null : secretOf(request)

function secretOf(request: FastifyRequest): string | null {
  const header = request.headers.authorization
  if (header !== undefined) {
    const match = /^Bearer ([\x21-\x7e]{1,200})$/i.exec(header)
    if (!match?.[1])
      throw new ProblemError('unauthenticated', 'the Authorization header must be "Bearer <token>"')
    return match[1]
  }
  return request.cookies[SESSION_COOKIE] ?? null
}

/** A scope, or `any`: a live token, whatever it may do. */
export type Wanted = Scope | 'any'

/** Before anything of the request is read: a caller without a token learns nothing about bodies. */
export const requireScope =
  ({ store }: ApiContext, wanted: Wanted): onRequestHookHandler =>
  async (request) => {
    const secret = secretOf(request)
    if (secret === null)
      throw new ProblemError('unauthenticated', 'no token was sent; send Authorization: Bearer <token>')
    const token = await findToken(store, secret)
    if (token === null) throw new ProblemError('unauthenticated', 'the token is unknown, expired or revoked')
    request.identity = token
    if (wanted !== 'any' && !hasScope(token.scopes, wanted))
      throw new ProblemError(
        'forbidden',
        `token ${token.prefix} has the scopes ${token.scopes.join(', ')}; this needs ${wanted}`,
      )
  }

/** The caller of a route behind {@link requireScope}. */
export function identityOf(request: FastifyRequest): Identity {
  if (request.identity === null) throw new Error(`${request.routeOptions.url} is not behind requireScope`)
  return request.identity
}

/** How ledgers and audit entries name the caller. */
export const actorOf = ({ name, prefix }: Identity): string => `${name} (${prefix})`

export const decorateIdentity = (app: App): void => {
  app.decorateRequest('identity', null)
}
