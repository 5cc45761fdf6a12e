/**
 * The configuration of every Node process, parsed once, at start. This is the only file that reads
 * `process.env`. What the environment leaves open (servers, keys, ports) comes from the embedded stack's files
 * in the state directory.
 */
import { createHash } from 'node:crypto'
import { hostname, networkInterfaces } from 'node:os'
import { resolve } from 'node:path'
import { z } from 'zod'
import { readSecrets } from './secrets.ts'
import { readStackFile } from './stack/stack-file.ts'

/** The checkout's root: three folders above this file. */
export const repositoryRoot = resolve(import.meta.dirname, '../../..')

/** A wrong or missing variable. The message has one line a problem and holds no secret. */
export class ConfigError extends Error {
  override name = 'ConfigError'
}

const urlOf =
  (...schemes: string[]) =>
  (value: string) => {
    const url = URL.parse(value)
    return url !== null && schemes.includes(url.protocol) && url.hostname !== ''
  }

const port = z.coerce
  .number('a TCP port, 1 to 65535')
  .int('a TCP port, 1 to 65535')
  .min(1, 'a TCP port, 1 to 65535')
  .max(65535, 'a TCP port, 1 to 65535')

const httpUrl = (example: string) =>
  z.string().refine(urlOf('http:', 'https:'), `an http(s) URL, as ${example}`)

/** Each message says what is allowed; {@link explain} adds the variable's name and what it holds. */
const variables = {
  DATABASE_URL: z
    .string()
    .refine(
      urlOf('postgres:', 'postgresql:'),
      'a PostgreSQL URL, as postgresql://user:password@host:5432/limbeck',
    ),
  REDIS_URL: z
    .string()
    .refine(urlOf('redis:', 'rediss:'), 'a Redis or Valkey URL, as redis://:password@host:6379/0'),
  S3_ENDPOINT: httpUrl('https://s3.example.org'),
  S3_PUBLIC_ENDPOINT: httpUrl('https://s3.example.org'),
  S3_BUCKET: z
    .string()
    .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'a bucket name: 3-63 of a-z, 0-9, ".", "-"'),
  S3_ACCESS_KEY_ID: z.string().min(1, 'an access key id'),
  S3_SECRET_ACCESS_KEY: z.string().min(1, 'a secret access key'),
  S3_REGION: z.string().regex(/^[a-z0-9-]{2,32}$/, 'a region, as us-east-1'),
  LIMBECK_API: httpUrl('https://limbeck.example.org'),
  LIMBECK_TOKEN: z.string().regex(/^\S+$/, 'a token without white space'),
  LIMBECK_API_PORT: port,
  LIMBECK_LISTEN: z.union([z.ipv4(), z.ipv6()], 'an IP address to listen on, as 127.0.0.1 or 0.0.0.0'),
  LIMBECK_STATE_DIR: z.string().min(1, 'a folder'),
  LIMBECK_PYTHON: z.string().min(1, "the path of the worker's Python interpreter"),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
    error: 'one of trace, debug, info, warn, error, fatal, silent',
  }),
} as const

type Name = keyof typeof variables
type Values = { [N in Name]?: z.infer<(typeof variables)[N]> }
export type Environment = Readonly<Record<string, string | undefined>>

const secretNames: ReadonlySet<Name> = new Set(['S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY', 'LIMBECK_TOKEN'])
const urlNames: ReadonlySet<Name> = new Set([
  'DATABASE_URL',
  'REDIS_URL',
  'S3_ENDPOINT',
  'S3_PUBLIC_ENDPOINT',
])

/** What a variable holds, fit to print: no password, no key. */
export function redactedValue(name: string, value: string): string {
  if (secretNames.has(name as Name)) return '(secret, not shown)'
  if (!urlNames.has(name as Name)) return JSON.stringify(value)
  const url = URL.parse(value)
  // A string that is no URL may hold a password anywhere, so nothing of it can be shown.
  if (url === null) return `(not a URL, ${value.length} characters, not shown)`
  if (url.password !== '') url.password = '***'
  return JSON.stringify(url.href)
}

const explain = (name: string, value: string, allowed: string) =>
  `${name} is ${redactedValue(name, value)}; allowed: ${allowed}`

function parseVariables(env: Environment): Values {
  const problems: string[] = []
  const values: Record<string, unknown> = {}
  for (const [name, schema] of Object.entries(variables)) {
    const value = env[name]
    // An empty variable counts as unset: that is how compose files and shells pass "nothing".
    if (value === undefined || value === '') continue
    const parsed = schema.safeParse(value)
    if (parsed.success) values[name] = parsed.data
    else problems.push(explain(name, value, parsed.error.issues[0]?.message ?? 'another value'))
  }
  const isSet = (name: Name) => values[name] !== undefined
  if (isSet('S3_ENDPOINT'))
    for (const name of ['S3_BUCKET', 'S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'] as const)
      if (!isSet(name) && (env[name] ?? '') === '')
        problems.push(`${name} is not set; S3_ENDPOINT names a server of yours, so ${name} must be set too`)
  if (problems.length > 0) throw new ConfigError(problems.join('\n'))
  return values as Values
}

/** What an S3 client needs. `public_endpoint` is what presigned URLs are signed for. */
export interface S3Config {
  readonly endpoint: string
  readonly public_endpoint: string
  readonly bucket: string
  readonly access_key_id: string
  readonly secret_access_key: string
  readonly region: string
}

/** Settings that need no server: enough to start or stop the embedded stack. */
export interface LocalConfig {
  /** Absolute path. */
  readonly state_dir: string
  readonly log_level: NonNullable<Values['LOG_LEVEL']>
  /** Address on which API and S3 listen; the other servers stay on loopback. */
  readonly listen: string
  /** Undefined: the port that the embedded stack chose. */
  readonly api_port: number | undefined
  readonly python: string
  /** Servers of the user's own, by variable. An absent one is the embedded server. */
  readonly external: {
    readonly database_url?: string
    readonly redis_url?: string
    readonly s3?: Omit<S3Config, 'public_endpoint'> & { readonly public_endpoint?: string }
  }
}

/** Everything: what API, orchestrator and tools need. */
export interface Config extends LocalConfig {
  readonly database_url: string
  readonly redis_url: string
  readonly s3: S3Config
  readonly api: { readonly host: string; readonly port: number }
}

/** The address that other machines use for a server listening on `listen`. */
export function advertisedHost(listen: string): string {
  if (listen !== '0.0.0.0' && listen !== '::') return listen.includes(':') ? `[${listen}]` : listen
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  return addresses.find((address) => !address.internal && address.family === 'IPv4')?.address ?? hostname()
}

/** Parses what needs no server. @throws ConfigError */
export function loadLocalConfig(env: Environment = process.env): LocalConfig {
  const values = parseVariables(env)
  const state_dir = resolve(repositoryRoot, values.LIMBECK_STATE_DIR ?? '.limbeck')
  return {
    state_dir,
    log_level: values.LOG_LEVEL ?? 'info',
    listen: values.LIMBECK_LISTEN ?? '127.0.0.1',
    api_port: values.LIMBECK_API_PORT,
    python: values.LIMBECK_PYTHON ?? resolve(repositoryRoot, '.limbeck/venv/bin/python'),
    external: {
      ...(values.DATABASE_URL === undefined ? {} : { database_url: values.DATABASE_URL }),
      ...(values.REDIS_URL === undefined ? {} : { redis_url: values.REDIS_URL }),
      ...(values.S3_ENDPOINT === undefined
        ? {}
        : {
            s3: {
              endpoint: values.S3_ENDPOINT,
              ...(values.S3_PUBLIC_ENDPOINT === undefined
                ? {}
                : { public_endpoint: values.S3_PUBLIC_ENDPOINT }),
              bucket: values.S3_BUCKET ?? 'limbeck',
              access_key_id: values.S3_ACCESS_KEY_ID ?? '',
              secret_access_key: values.S3_SECRET_ACCESS_KEY ?? '',
              region: values.S3_REGION ?? 'us-east-1',
            },
          }),
    },
  }
}

/**
 * The whole configuration. Servers that no variable names are the embedded stack's, whose ports and passwords
 * stand in the state directory once `./limbeck up` ran there.
 * @throws ConfigError naming each variable that is wrong or missing.
 */
export function loadConfig(env: Environment = process.env): Config {
  const local = loadLocalConfig(env)
  const { external } = local
  const stack = readStackFile(local.state_dir)
  const secrets = readSecrets(local.state_dir)
  const absent: string[] = []
  const embedded = <T>(
    name: string,
    make: (stack: NonNullable<ReturnType<typeof readStackFile>>) => T,
  ): T => {
    if (stack !== undefined) return make(stack)
    absent.push(name)
    return undefined as T
  }
  const secret = (name: string) => encodeURIComponent(secrets[name] ?? '')

  const database_url =
    external.database_url ??
    embedded(
      'DATABASE_URL',
      ({ ports }) =>
        `postgresql://limbeck:${secret('postgres_password')}@127.0.0.1:${ports.postgres}/limbeck`,
    )
  const redis_url =
    external.redis_url ??
    embedded('REDIS_URL', ({ ports }) => `redis://:${secret('valkey_password')}@127.0.0.1:${ports.valkey}/0`)
  const s3: S3Config =
    external.s3 !== undefined
      ? { ...external.s3, public_endpoint: external.s3.public_endpoint ?? external.s3.endpoint }
      : embedded('S3_ENDPOINT', ({ ports }) => {
          const s3Host = local.listen === '0.0.0.0' ? '127.0.0.1' : advertisedHost(local.listen)
          return {
            endpoint: `http://${s3Host}:${ports.s3}`,
            public_endpoint:
              parseVariables(env).S3_PUBLIC_ENDPOINT ?? `http://${advertisedHost(local.listen)}:${ports.s3}`,
            bucket: parseVariables(env).S3_BUCKET ?? 'limbeck',
            access_key_id: secrets.s3_access_key_id ?? '',
            secret_access_key: secrets.s3_secret_access_key ?? '',
            region: 'us-east-1',
          }
        })
  const api_port = local.api_port ?? embedded('LIMBECK_API_PORT', ({ ports }) => ports.api)
  if (absent.length > 0)
    throw new ConfigError(
      `${absent.join(', ')}: not set, and ${local.state_dir} holds no embedded stack; ` +
        'set them to servers of your own or run ./limbeck up first',
    )
  return { ...local, database_url, redis_url, s3, api: { host: local.listen, port: api_port } }
}

/** Where a client finds the API, and with which token. */
export interface Connection {
  readonly url: string
  readonly token: string
}

/**
 * The API a client talks to: what is given, else LIMBECK_API and LIMBECK_TOKEN, else the stack of this checkout with its
 * admin token. A token is never sent to another address than the one it belongs to: the checkout's own is used only for
 * the checkout's own API.
 * @throws ConfigError naming what is missing.
 */
export function loadConnection(
  given: { readonly url?: string | undefined; readonly token?: string | undefined },
  env: Environment = process.env,
): Connection {
  const values = parseVariables(env)
  const url = given.url ?? values.LIMBECK_API
  const token = given.token ?? values.LIMBECK_TOKEN
  if (url !== undefined) {
    if (!urlOf('http:', 'https:')(url)) throw new ConfigError(explain('LIMBECK_API', url, 'an http(s) URL'))
    if (token === undefined)
      throw new ConfigError(`no token for ${url}: set LIMBECK_TOKEN, or give --token-file`)
    return { url, token }
  }
  const { api, state_dir } = loadConfig(env)
  const own = token ?? readSecrets(state_dir).admin_token
  if (own === undefined) throw new ConfigError(`${state_dir} holds no admin token: run ./limbeck up first`)
  return { url: `http://${advertisedHost(api.host)}:${api.port}`, token: own }
}

/** A child's environment: this process's, with `changes` (undefined removes a variable). */
export function childEnvironment(changes: Environment = {}): Record<string, string> {
  return Object.fromEntries(
    Object.entries({ ...process.env, ...changes }).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    ),
  )
}

/** Names of the variables that choose servers and ports: a stack started with others is another stack. */
export const stackVariables = Object.keys(variables).filter(
  (name) =>
    !['LOG_LEVEL', 'LIMBECK_STATE_DIR', 'LIMBECK_PYTHON', 'LIMBECK_API', 'LIMBECK_TOKEN'].includes(name),
)

/** SHA-256 by name of {@link stackVariables} that are set: enough to see a difference, too little to read a secret. */
export function currentSettings(env: Environment = process.env): Record<string, string> {
  const entries = stackVariables.flatMap((name) => {
    const value = env[name]
    return value === undefined || value === ''
      ? []
      : [[name, createHash('sha256').update(value).digest('hex')]]
  })
  return Object.fromEntries(entries)
}

export const s3BucketName = (env: Environment = process.env): string =>
  parseVariables(env).S3_BUCKET ?? 'limbeck'
