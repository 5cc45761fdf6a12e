import { createHash, randomBytes } from 'node:crypto'
import { Scope, type TokenView } from '@limbeck/contracts'
import { ok } from '@limbeck/core'
import { z } from 'zod'
import { notFound, type StoreResult } from '../failure.ts'
import type { Token } from '../generated/client.ts'
import { newId } from '../ids.ts'
import { iso, isoOrNull } from '../rows.ts'
import type { Store } from '../store.ts'

type TokenDto = z.infer<typeof TokenView>

/** Enough to recognise a token in a list, too little to guess it: 5 letters of mark and 6 of the secret. */
const PREFIX_LENGTH = 11

/** 256 random bits; the mark lets secret scanners find a leaked one. */
export const newTokenSecret = (): string => `lmbk_${randomBytes(32).toString('base64url')}`

/** Plain SHA-256 is enough for 256 random bits: there is nothing to guess that a slow hash would protect. */
const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex')

const Scopes = z.array(Scope)

const viewOf = (row: Token): TokenDto => ({
  id: row.id as TokenDto['id'],
  name: row.name,
  prefix: row.prefix,
  scopes: Scopes.parse(row.scopes),
  project: row.project,
  created_at: iso(row.created_at),
  expires_at: isoOrNull(row.expires_at),
  revoked_at: isoOrNull(row.revoked_at),
  last_used_at: isoOrNull(row.last_used_at),
})

export async function ensureProject(store: Store, name: string): Promise<void> {
  await store.pool.query('INSERT INTO project (name) VALUES ($1) ON CONFLICT DO NOTHING', [name])
}

/** Only the hash of `secret` is stored. The project must exist or is made. */
export async function createToken(
  store: Store,
  token: {
    project: string
    name: string
    scopes: z.infer<typeof Scope>[]
    expires_days: number | null
    secret: string
  },
): Promise<TokenDto> {
  await ensureProject(store, token.project)
  const id = newId('tok')
  await store.pool.query(
    `INSERT INTO token (id, project, name, prefix, hash, scopes, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(days => $7::int))`,
    [
      id,
      token.project,
      token.name,
      token.secret.slice(0, PREFIX_LENGTH),
      hashOf(token.secret),
      token.scopes,
      token.expires_days,
    ],
  )
  return viewOf(await store.prisma.token.findUniqueOrThrow({ where: { id } }))
}

/** The live token of this secret: not revoked, not expired. Notes the use, once a minute at most. Index: unique hash. */
export async function findToken(store: Store, secret: string): Promise<TokenDto | null> {
  const { rows } = await store.pool.query<Token & { stale: boolean }>(
    `SELECT *, last_used_at IS NULL OR last_used_at < now() - interval '1 minute' AS stale FROM token
     WHERE hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())`,
    [hashOf(secret)],
  )
  const [row] = rows
  if (row === undefined) return null
  if (row.stale) await store.pool.query('UPDATE token SET last_used_at = now() WHERE id = $1', [row.id])
  return viewOf(row)
}

/** Newest first, revoked ones too. */
export async function listTokens(store: Store, project: string): Promise<TokenDto[]> {
  const rows = await store.prisma.token.findMany({
    where: { project },
    orderBy: { created_at: 'desc' },
    take: 1000,
  })
  return rows.map(viewOf)
}

/** From now on; again is fine. Failure: not_found. */
export async function revokeToken(store: Store, project: string, token: string): StoreResult<TokenDto> {
  const { rows } = await store.pool.query<Token>(
    'UPDATE token SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1 AND project = $2 RETURNING *',
    [token, project],
  )
  return rows[0] === undefined ? notFound('token', token) : ok(viewOf(rows[0]))
}

/** The one-time code in the printed address of the dashboard. */
export async function createLoginCode(
  store: Store,
  code: { secret: string; project: string; scopes: z.infer<typeof Scope>[]; expires_seconds: number },
): Promise<void> {
  await store.pool.query(
    `INSERT INTO login_code (hash, project, scopes, expires_at)
     VALUES ($1, $2, $3, now() + make_interval(secs => $4))`,
    [hashOf(code.secret), code.project, code.scopes, code.expires_seconds],
  )
}

/** Gives what the code stands for, the first time only. Index: primary key. */
export async function useLoginCode(
  store: Store,
  secret: string,
): Promise<{ project: string; scopes: z.infer<typeof Scope>[] } | null> {
  const { rows } = await store.pool.query<{ project: string; scopes: string[] }>(
    `UPDATE login_code SET used_at = now() WHERE hash = $1 AND used_at IS NULL AND expires_at > now()
     RETURNING project, scopes`,
    [hashOf(secret)],
  )
  return rows[0] === undefined ? null : { project: rows[0].project, scopes: Scopes.parse(rows[0].scopes) }
}
