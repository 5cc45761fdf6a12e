/** The object store: client, buckets, presigned transfers, content hashes. */
import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import type { S3Config } from './config.ts'

/** S3's limits: parts of 5 MiB (but the last) to 5 GiB, 10,000 of them. */
export const partLimits = { minBytes: 5 * 1024 ** 2, maxBytes: 5 * 1024 ** 3, maxParts: 10_000 } as const
/** Signature version 4 allows a week. */
const maxExpirySeconds = 604_800

export interface ClientOptions {
  /** Tries of a request, the first included. Default 3. */
  readonly maxAttempts?: number
  /** Of one request, until its answer's headers. Default 30 s. */
  readonly requestTimeoutMs?: number
  /** Default 5 s. */
  readonly connectionTimeoutMs?: number
}

type Credentials = Pick<S3Config, 'endpoint' | 'region' | 'access_key_id' | 'secret_access_key'>

/** A client with path-style addresses (any S3 server) and limits on every wait. The caller destroys it. */
export function createS3Client(config: Credentials, options: ClientOptions = {}): S3Client {
  return new S3Client({
    endpoint: config.endpoint,
    region: config.region,
    credentials: { accessKeyId: config.access_key_id, secretAccessKey: config.secret_access_key },
    forcePathStyle: true,
    // Checksums beyond the signature's are an AWS habit that other servers and presigned uploads do not share.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: options.maxAttempts ?? 3,
    requestHandler: {
      connectionTimeout: options.connectionTimeoutMs ?? 5_000,
      requestTimeout: options.requestTimeoutMs ?? 30_000,
      throwOnRequestTimeout: true,
      httpsAgent: { maxSockets: 64 },
      httpAgent: { maxSockets: 64 },
    },
  })
}

/** Creates the bucket unless it is there. Safe to call from several processes at once. */
export async function ensureBucket(client: S3Client, bucket: string): Promise<void> {
  try {
    await client.send(new HeadBucketCommand({ Bucket: bucket }))
    return
  } catch (error) {
    const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode
    if (status !== 404) throw error
  }
  try {
    await client.send(new CreateBucketCommand({ Bucket: bucket }))
  } catch (error) {
    const { name } = error as Error
    if (name !== 'BucketAlreadyOwnedByYou' && name !== 'BucketAlreadyExists') throw error
  }
}

/** Objects of one bucket, with URLs signed for the address that workers and browsers use. */
export interface ObjectStore {
  readonly client: S3Client
  readonly bucket: string
  createUpload(key: string, contentType?: string): Promise<{ upload_id: string }>
  /** A URL to PUT part `part` (from 1) of exactly `bytes` bytes. */
  signPart(
    key: string,
    uploadId: string,
    part: number,
    bytes: number,
    expirySeconds?: number,
  ): Promise<string>
  /** @param parts with the ETag headers that the PUTs answered, in any order */
  completeUpload(key: string, uploadId: string, parts: readonly UploadedPart[]): Promise<void>
  /** Harmless where the upload is unknown, finished or aborted already. */
  abortUpload(key: string, uploadId: string): Promise<void>
  signGet(key: string, options?: SignGetOptions): Promise<string>
  /** SHA-256 and size of an object, read as a stream. */
  digest(key: string, options?: DigestOptions): Promise<{ digest: string; bytes: number }>
  /** @throws Error where the object is larger than `limitBytes`. */
  readObject(key: string, limitBytes: number): Promise<Buffer>
  /** Harmless where there is no such object. */
  deleteObject(key: string): Promise<void>
  destroy(): void
}

export interface UploadedPart {
  readonly part: number
  readonly etag: string
}

export interface SignGetOptions {
  /** Default 3600; at most 604800. */
  readonly expirySeconds?: number
  /** Headers of the answer. */
  readonly contentType?: string
  readonly contentDisposition?: string
  readonly cacheControl?: string
}

export interface DigestOptions {
  /** Of the whole read. Default 10 minutes. */
  readonly timeoutMs?: number
  /** Without a byte for so long the read fails. Default 30 s. */
  readonly idleTimeoutMs?: number
  readonly signal?: AbortSignal
}

export function openObjectStore(config: S3Config, options: ClientOptions = {}): ObjectStore {
  const client = createS3Client(config, options)
  const signer =
    config.public_endpoint === config.endpoint
      ? client
      : createS3Client({ ...config, endpoint: config.public_endpoint }, options)
  const Bucket = config.bucket
  const expiry = (seconds = 3_600) => {
    if (!Number.isInteger(seconds) || seconds < 1 || seconds > maxExpirySeconds)
      throw new RangeError(`expiry is ${seconds} s; allowed: 1 to ${maxExpirySeconds}`)
    return { expiresIn: seconds }
  }
  return {
    client,
    bucket: Bucket,
    async createUpload(Key, contentType = 'application/octet-stream') {
      const { UploadId } = await client.send(
        new CreateMultipartUploadCommand({ Bucket, Key, ContentType: contentType }),
      )
      if (UploadId === undefined) throw new Error(`the object store gave no upload id for ${Key}`)
      return { upload_id: UploadId }
    },
    signPart(Key, UploadId, part, bytes, expirySeconds) {
      if (!Number.isInteger(part) || part < 1 || part > partLimits.maxParts)
        throw new RangeError(`part is ${part}; allowed: 1 to ${partLimits.maxParts}`)
      if (!Number.isInteger(bytes) || bytes < 0 || bytes > partLimits.maxBytes)
        throw new RangeError(`part size is ${bytes} bytes; allowed: 0 to ${partLimits.maxBytes}`)
      const command = new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: part, ContentLength: bytes })
      // The length is signed: a URL is good for these bytes' number and no more.
      return getSignedUrl(signer, command, {
        ...expiry(expirySeconds),
        signableHeaders: new Set(['host', 'content-length']),
      })
    },
    async completeUpload(Key, UploadId, parts) {
      const Parts = [...parts]
        .sort((a, b) => a.part - b.part)
        .map(({ part, etag }) => ({ PartNumber: part, ETag: etag }))
      await client.send(
        new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }),
      )
    },
    async abortUpload(Key, UploadId) {
      try {
        await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }))
      } catch (error) {
        if ((error as Error).name !== 'NoSuchUpload') throw error
      }
    },
    signGet(Key, { expirySeconds, contentType, contentDisposition, cacheControl } = {}) {
      const command = new GetObjectCommand({
        Bucket,
        Key,
        ...(contentType === undefined ? {} : { ResponseContentType: contentType }),
        ...(contentDisposition === undefined ? {} : { ResponseContentDisposition: contentDisposition }),
        ...(cacheControl === undefined ? {} : { ResponseCacheControl: cacheControl }),
      })
      return getSignedUrl(signer, command, expiry(expirySeconds))
    },
    digest: (key, digestOptions) => digestOfObject(client, Bucket, key, digestOptions),
    async readObject(Key, limitBytes) {
      const abortSignal = AbortSignal.timeout(120_000)
      const { Body, ContentLength } = await client.send(new GetObjectCommand({ Bucket, Key }), {
        abortSignal,
      })
      if ((ContentLength ?? Number.POSITIVE_INFINITY) > limitBytes) {
        ;(Body as Readable | undefined)?.destroy()
        throw new RangeError(`${Key} has ${ContentLength} bytes; allowed: ${limitBytes}`)
      }
      return Buffer.from((await Body?.transformToByteArray()) ?? [])
    },
    async deleteObject(Key) {
      await client.send(new DeleteObjectCommand({ Bucket, Key }))
    },
    destroy() {
      client.destroy()
      if (signer !== client) signer.destroy()
    },
  }
}

async function digestOfObject(client: S3Client, Bucket: string, Key: string, options: DigestOptions = {}) {
  const { timeoutMs = 600_000, idleTimeoutMs = 30_000 } = options
  const limits = [
    AbortSignal.timeout(Math.ceil(timeoutMs)),
    ...(options.signal === undefined ? [] : [options.signal]),
  ]
  const abortSignal = AbortSignal.any(limits)
  const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }), { abortSignal })
  const body = Body as Readable | undefined
  if (body === undefined) throw new Error(`the object store gave no content for ${Key}`)
  const stop = (reason: unknown) => body.destroy(reason instanceof Error ? reason : new Error(String(reason)))
  const onAbort = () => stop(abortSignal.reason)
  abortSignal.addEventListener('abort', onAbort, { once: true })
  const idle = setTimeout(() => stop(new Error(`no byte of ${Key} for ${idleTimeoutMs} ms`)), idleTimeoutMs)
  const hash = createHash('sha256')
  let bytes = 0
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      idle.refresh()
      hash.update(chunk)
      bytes += chunk.length
    }
    abortSignal.throwIfAborted()
    return { digest: hash.digest('hex'), bytes }
  } finally {
    clearTimeout(idle)
    abortSignal.removeEventListener('abort', onAbort)
  }
}
