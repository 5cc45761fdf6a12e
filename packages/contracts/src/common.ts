import { z } from 'zod'

/** SHA-256 of bytes, lower-case hex: the name of every artifact. */
export const Digest = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in lower-case hex')
  .meta({ id: 'Digest', description: 'SHA-256 of the bytes, 64 lower-case hex digits' })
export type Digest = z.infer<typeof Digest>

/** A point in time on the server's clock, RFC 3339 with milliseconds, UTC. */
export const Timestamp = z.iso.datetime().meta({ id: 'Timestamp' })

/**
 * A number that may be non-finite. JSON has no NaN; such values travel as strings and are stored
 * and shown, never dropped: in mixed-precision training they are the signal.
 */
export const Scalar = z
  .union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity'])])
  .meta({ id: 'Scalar', description: 'a number, or NaN, Infinity, -Infinity as a string' })
export type Scalar = z.infer<typeof Scalar>

/** Names that users choose: runs' labels, projects, assets, recipes. */
export const Name = z
  .string()
  .regex(
    /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/,
    'must be 1-64 of a-z, 0-9, ".", "_", "-", starting and ending with a letter or digit',
  )

/** Scalar series names: path-like, as "loss/task". */
export const SeriesName = z
  .string()
  .regex(/^[a-zA-Z0-9_./@-]{1,120}$/, 'must be 1-120 of letters, digits, "_./@-"')

export const positive = (what: string) => z.number().positive().describe(what)
export const share = (what: string) => z.number().min(0).max(1).describe(what)
export const count = (what: string, max = 1_000_000_000) => z.int().min(1).max(max).describe(what)
