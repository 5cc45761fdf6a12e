/** The state directory's secrets: one JSON object of strings, mode 0600, written by rename. */
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { writeFileAtomic } from './files.ts'
import { withFileLock } from './process/file-lock.ts'

const Secrets = z.record(z.string(), z.string())
export type Secrets = Record<string, string>

export const secretsPath = (stateDir: string): string => join(stateDir, 'secrets')

/** A password or key of 192 random bits that needs no quoting in URLs, shells or configuration files. */
export const randomSecret = (): string =>
  randomBytes(24).toString('base64url').replaceAll('-', 'x').replaceAll('_', 'y')

/** @throws Error where the file holds something else than an object of strings. */
export function readSecrets(stateDir: string): Secrets {
  const path = secretsPath(stateDir)
  if (!existsSync(path)) return {}
  try {
    return Secrets.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    // The parser's own message would quote the content.
    throw new Error(`${path} is damaged: expected a JSON object of strings`)
  }
}

/**
 * Returns the secrets of these names, making what is missing (by default {@link randomSecret}) and keeping what
 * is there. Safe against other processes that add secrets at the same time.
 */
export async function ensureSecrets<N extends string>(
  stateDir: string,
  names: Readonly<Record<N, (() => string) | undefined>>,
): Promise<Record<N, string>> {
  const path = secretsPath(stateDir)
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  return withFileLock(join(stateDir, 'run', 'secrets.lock'), 10_000, () => {
    const secrets = readSecrets(stateDir)
    const missing = (Object.keys(names) as N[]).filter((name) => secrets[name] === undefined)
    for (const name of missing) secrets[name] = (names[name] ?? randomSecret)()
    if (missing.length > 0) writeFileAtomic(path, `${JSON.stringify(secrets, null, 2)}\n`, 0o600)
    else chmodSync(path, 0o600)
    return Object.fromEntries((Object.keys(names) as N[]).map((name) => [name, secrets[name]])) as Record<
      N,
      string
    >
  })
}
