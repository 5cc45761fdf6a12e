/** Expected failures are values; exceptions are for bugs and I/O. */
export type Result<T, E> = { ok: true; value: T } | { ok: false; error: E }

export const ok = <T>(value: T): { ok: true; value: T } => ({ ok: true, value })
export const fail = <E>(error: E): { ok: false; error: E } => ({ ok: false, error })

/** Closes an exhaustive switch: a new member of a union without a branch does not compile. */
export function assertNever(value: never): never {
  throw new Error(`no branch for ${JSON.stringify(value)}`)
}
