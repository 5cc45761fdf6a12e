/**
 * Health checks that make a server do its work. Their errors name the variable that chose the server, and hold no
 * password.
 */
import { randomBytes } from 'node:crypto'
import { DeleteObjectCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { Redis } from 'ioredis'
import pg from 'pg'
import { createS3Client, ensureBucket } from '../s3.ts'
import { StackError } from './errors.ts'

const LIMIT_MS = 5_000

const place = (url: string): string => {
  const { hostname, port } = new URL(url)
  return port === '' ? hostname : `${hostname}:${port}`
}

/** @throws StackError wrong_password, or the driver's error. */
export async function probePostgres(url: string): Promise<void> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: LIMIT_MS,
    query_timeout: LIMIT_MS,
    application_name: 'limbeck-probe',
  })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('SELECT 1')
  } catch (error) {
    const { code } = error as { code?: string }
    const { username, pathname } = new URL(url)
    if (code === '28P01' || code === '28000')
      throw new StackError(
        'wrong_password',
        `DATABASE_URL: the server at ${place(url)} refuses the password of user "${username}"`,
      )
    if (code === '3D000')
      throw new StackError(
        'wrong_setting',
        `DATABASE_URL: the server at ${place(url)} has no database "${pathname.slice(1)}"`,
      )
    throw error
  } finally {
    await client.end().catch(() => {})
  }
}

/** @throws StackError wrong_password, wrong_setting (an eviction policy that loses jobs), or the driver's error. */
export async function probeValkey(url: string): Promise<void> {
  const client = new Redis(url, {
    lazyConnect: true,
    connectTimeout: LIMIT_MS,
    commandTimeout: LIMIT_MS,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.ping()
    await checkNoEviction(client, place(url))
  } catch (error) {
    if (/WRONGPASS|NOAUTH|invalid password/i.test(String(error)))
      throw new StackError('wrong_password', `REDIS_URL: the server at ${place(url)} refuses the password`)
    throw error
  } finally {
    client.disconnect()
  }
}

/** BullMQ keeps jobs in keys that any eviction policy but `noeviction` may drop when memory is short. */
export async function checkNoEviction(client: Redis, where: string): Promise<void> {
  let policy: string | undefined
  try {
    policy = ((await client.config('GET', 'maxmemory-policy')) as string[])[1]
  } catch {
    // Managed servers refuse CONFIG; INFO says the same.
    policy = /maxmemory_policy:(\S+)/.exec(await client.info('memory'))?.[1]
  }
  if (policy !== undefined && policy !== 'noeviction')
    throw new StackError(
      'wrong_setting',
      `REDIS_URL: the server at ${where} has maxmemory-policy "${policy}"; only "noeviction" keeps queued jobs`,
    )
}

export interface S3ProbeTarget {
  readonly endpoint: string
  readonly region: string
  readonly bucket: string
  readonly access_key_id: string
  readonly secret_access_key: string
}

/** Makes the bucket where absent, writes an object, reads it back, removes it. */
export async function probeS3(target: S3ProbeTarget): Promise<void> {
  const client = createS3Client(target, { maxAttempts: 1, requestTimeoutMs: LIMIT_MS })
  const key = `.probe/${randomBytes(8).toString('hex')}`
  const at = { Bucket: target.bucket, Key: key }
  try {
    await ensureBucket(client, target.bucket)
    await client.send(new PutObjectCommand({ ...at, Body: key }))
    const { Body } = await client.send(new GetObjectCommand(at))
    if ((await Body?.transformToString()) !== key)
      throw new Error('an object read back differs from what was written')
    await client.send(new DeleteObjectCommand(at))
  } catch (error) {
    const { name } = error as { name?: string }
    if (name === 'SignatureDoesNotMatch' || name === 'InvalidAccessKeyId' || name === 'AccessDenied')
      throw new StackError(
        'wrong_password',
        `S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY: the server at ${place(target.endpoint)} refuses them for bucket "${target.bucket}" (${name})`,
      )
    throw error
  } finally {
    client.destroy()
  }
}

/** @throws Error unless the URL answers 200 within the limit. */
export async function probeHttp(url: string): Promise<void> {
  const response = await fetch(url, { signal: AbortSignal.timeout(LIMIT_MS) })
  await response.body?.cancel()
  if (response.status !== 200) throw new Error(`${url} answers ${response.status}; expected 200`)
}
