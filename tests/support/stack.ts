/**
 * For integration tests: a database, a bucket and a key prefix of one's own on the shared real servers.
 * `const database = await createTestDatabase()`; everything made here is removed after the test file.
 */
import { randomBytes } from 'node:crypto'
import { DeleteBucketCommand, DeleteObjectsCommand, paginateListObjectsV2 } from '@aws-sdk/client-s3'
import { type Config, createS3Client, ensureBucket, loadConfig, type S3Config } from '@limbeck/platform'
import pg from 'pg'
import { afterAll } from 'vitest'

/** Configuration of the stack that the global set-up started. */
export const stackConfig = (): Config => loadConfig()

const unique = (what: string): string => `${what}_${randomBytes(6).toString('hex')}`

async function withMaintenance<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: stackConfig().database_url,
    connectionTimeoutMillis: 10_000,
  })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

const databaseUrl = (name: string): string => {
  const url = new URL(stackConfig().database_url)
  url.pathname = `/${name}`
  return url.href
}

export interface TestDatabase {
  readonly name: string
  readonly url: string
  drop(): Promise<void>
}

/**
 * A new database, cloned from the template in milliseconds. `template` names the schema's version (a hash of the
 * migrations); `prepare` fills the template once for all tests and later runs. Without both it is empty.
 */
export async function createTestDatabase(template?: {
  readonly version: string
  readonly prepare: (url: string) => Promise<void>
}): Promise<TestDatabase> {
  const name = unique('test')
  const source = template === undefined ? 'template1' : await ensureTemplate(template)
  await withMaintenance((client) => client.query(`CREATE DATABASE ${name} TEMPLATE ${source}`))
  const drop = () =>
    withMaintenance(async (client) => {
      await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
    })
  afterAll(drop)
  return { name, url: databaseUrl(name), drop }
}

/** Test processes run side by side: an advisory lock lets one of them make the template, the others wait for it. */
async function ensureTemplate(template: {
  version: string
  prepare: (url: string) => Promise<void>
}): Promise<string> {
  const version = template.version
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, '')
    .slice(0, 40)
  const name = `template_${version}`
  return withMaintenance(async (client) => {
    await client.query('SELECT pg_advisory_lock(hashtext($1))', [name])
    const found = await client.query('SELECT FROM pg_database WHERE datname = $1', [name])
    if (found.rowCount !== 0) return name
    // Prepared under another name: a run that was killed must leave no half template behind.
    const draft = `${name}_draft`
    await client.query(`DROP DATABASE IF EXISTS ${draft} WITH (FORCE)`)
    await client.query(`CREATE DATABASE ${draft}`)
    await template.prepare(databaseUrl(draft))
    // Pools of the preparation may take a moment to close; a rename needs the database for itself.
    await client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [draft])
    await client.query(`ALTER DATABASE ${draft} RENAME TO ${name}`)
    return name
  })
}

/** A new empty bucket, removed with its objects after the test file. */
export async function testBucket(): Promise<S3Config> {
  const config: S3Config = { ...stackConfig().s3, bucket: unique('test').replaceAll('_', '-') }
  const client = createS3Client(config)
  await ensureBucket(client, config.bucket)
  afterAll(async () => {
    const Bucket = config.bucket
    for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket })) {
      const Objects = Contents.map(({ Key }) => ({ Key }))
      if (Objects.length > 0) await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }))
    }
    await client.send(new DeleteBucketCommand({ Bucket }))
    client.destroy()
  })
  return config
}

/** A prefix for BullMQ's keys that no other test has. */
export const testRedisPrefix = (): string => unique('test')
