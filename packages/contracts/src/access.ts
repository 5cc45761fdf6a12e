import { z } from 'zod'
import { Name, Timestamp } from './common.ts'
import { RunId, StageId, TokenId } from './ids.ts'

/** A scope includes those before it in this list, except `worker` and `device`, which stand alone. */
export const Scope = z
  .enum(['viewer', 'submitter', 'promoter', 'admin', 'worker', 'device'])
  .meta({ id: 'Scope' })
export type Scope = z.infer<typeof Scope>

export const TokenCreate = z
  .strictObject({
    name: z.string().min(1).max(120),
    scopes: z.array(Scope).min(1).max(6),
    project: Name.default('default'),
    expires_days: z.int().min(1).max(3650).nullable().default(null),
  })
  .meta({ id: 'TokenCreate' })
export const TokenView = z
  .strictObject({
    id: TokenId,
    name: z.string(),
    prefix: z.string().describe('first characters, enough to recognise it'),
    scopes: z.array(Scope),
    project: Name,
    created_at: Timestamp,
    expires_at: Timestamp.nullable(),
    revoked_at: Timestamp.nullable(),
    last_used_at: Timestamp.nullable(),
  })
  .meta({ id: 'TokenView' })
export const TokenCreated = TokenView.extend({ token: z.string().describe('shown once') }).meta({
  id: 'TokenCreated',
})
export const TokenList = z.strictObject({ tokens: z.array(TokenView) }).meta({ id: 'TokenList' })

/** The one-time code of the printed dashboard address becomes an HttpOnly cookie. */
export const SessionCreate = z
  .strictObject({ code: z.string().min(16).max(200) })
  .meta({ id: 'SessionCreate' })

/** An event of the feed; its SSE id is `xid:id`. */
export const EventView = z
  .strictObject({
    cursor: z.string().describe('"xid:id", the Last-Event-ID to go on from'),
    type: z.string().max(60),
    run: RunId.nullable(),
    stage: StageId.nullable(),
    payload: z.record(z.string(), z.json()),
    created_at: Timestamp,
  })
  .meta({ id: 'EventView' })
export const EventPage = z
  .strictObject({ events: z.array(EventView), cursor: z.string() })
  .meta({ id: 'EventPage' })
