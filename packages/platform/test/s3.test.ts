import { createHash, randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { HeadObjectCommand, ListMultipartUploadsCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { testBucket } from '../../../tests/support/stack.ts'
import {
  createS3Client,
  ensureBucket,
  type ObjectStore,
  openObjectStore,
  partLimits,
  type S3Config,
} from '../src/index.ts'

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const etagOf = (response: Response) => response.headers.get('etag') ?? ''

let config: S3Config
let store: ObjectStore

beforeAll(async () => {
  config = await testBucket()
  store = openObjectStore(config)
})
afterAll(() => store.destroy())

describe('presigned multipart upload', () => {
  it('carries a file through signed URLs and back, with the same digest', async () => {
    const parts = [randomBytes(partLimits.minBytes), randomBytes(partLimits.minBytes), randomBytes(70_001)]
    const { upload_id } = await store.createUpload('tree/model.safetensors')
    const sent = await Promise.all(
      parts.map(async (body, index) => {
        const url = await store.signPart('tree/model.safetensors', upload_id, index + 1, body.length)
        const response = await fetch(url, { method: 'PUT', body })
        expect(response.status).toBe(200)
        return { part: index + 1, etag: etagOf(response) }
      }),
    )
    await store.completeUpload('tree/model.safetensors', upload_id, sent.reverse())
    const whole = Buffer.concat(parts)
    expect(await store.digest('tree/model.safetensors')).toEqual({
      digest: sha256(whole),
      bytes: whole.length,
    })
    const back = await fetch(await store.signGet('tree/model.safetensors'))
    expect(sha256(Buffer.from(await back.arrayBuffer()))).toBe(sha256(whole))
  })

  it('signs the length: another number of bytes is refused', async () => {
    const { upload_id } = await store.createUpload('short')
    const url = await store.signPart('short', upload_id, 1, 100)
    expect((await fetch(url, { method: 'PUT', body: randomBytes(101) })).status).toBe(403)
    expect((await fetch(url, { method: 'PUT', body: randomBytes(100) })).status).toBe(200)
    await store.abortUpload('short', upload_id)
  })

  it('refuses a URL used for another part, another key, or after it was aborted', async () => {
    const { upload_id } = await store.createUpload('one')
    const url = await store.signPart('one', upload_id, 1, 5)
    const put = (address: string) =>
      fetch(address, { method: 'PUT', body: 'hello' }).then(({ status }) => status)
    expect(await put(url.replace('partNumber=1', 'partNumber=2'))).toBe(403)
    expect(await put(url.replace('/one?', '/two?'))).toBe(403)
    await store.abortUpload('one', upload_id)
    expect(await put(url)).toBe(404)
    const { Uploads } = await store.client.send(new ListMultipartUploadsCommand({ Bucket: store.bucket }))
    expect(Uploads ?? []).toEqual([])
  })

  it('aborts twice without complaint', async () => {
    const { upload_id } = await store.createUpload('twice')
    await store.abortUpload('twice', upload_id)
    await expect(store.abortUpload('twice', upload_id)).resolves.toBeUndefined()
  })

  it.each([0, 10_001, 1.5])('refuses part number %s', (part) => {
    expect(() => store.signPart('k', 'u', part, 5)).toThrow(/allowed: 1 to 10000/)
  })
})

describe('presigned download', () => {
  it('answers with the headers that were signed', async () => {
    await store.client.send(new PutObjectCommand({ Bucket: store.bucket, Key: 'grid.png', Body: 'png' }))
    const url = await store.signGet('grid.png', {
      contentType: 'image/png',
      contentDisposition: 'attachment; filename="grid.png"',
    })
    const { headers } = await fetch(url)
    expect(headers.get('content-type')).toBe('image/png')
    expect(headers.get('content-disposition')).toBe('attachment; filename="grid.png"')
    expect((await fetch(url.replace('image%2Fpng', 'text%2Fhtml'))).status).toBe(403)
  })

  it('expires', async () => {
    const url = await store.signGet('grid.png', { expirySeconds: 1 })
    expect((await fetch(url)).status).toBe(200)
    await expect.poll(async () => (await fetch(url)).status, { timeout: 10_000 }).toBe(403)
  })

  it('is signed for the public endpoint', async () => {
    const reverse = openObjectStore({ ...config, public_endpoint: 'https://files.example' })
    expect(new URL(await reverse.signGet('grid.png')).host).toBe('files.example')
    expect(new URL(await reverse.signPart('k', 'u', 1, 5)).host).toBe('files.example')
    expect((await reverse.digest('grid.png')).bytes).toBe(3)
    reverse.destroy()
  })

  it.each([0, 604_801])('refuses to sign for %s seconds', (expirySeconds) => {
    expect(() => store.signGet('k', { expirySeconds })).toThrow(/allowed: 1 to 604800/)
  })

  it('is refused without a signature', async () => {
    expect((await fetch(`${config.endpoint}/${config.bucket}/grid.png`)).status).toBe(403)
  })
})

describe('buckets', () => {
  it('are made once by several callers at the same time', async () => {
    const client = createS3Client(config)
    const bucket = config.bucket
    await Promise.all([1, 2, 3, 4].map(() => ensureBucket(client, bucket)))
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'k', Body: 'v' }))
    await client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'k' }))
    client.destroy()
  })
})

describe('a store that stops in the middle of an answer', () => {
  let server: Server
  let slow: ObjectStore

  beforeAll(async () => {
    // Promises ten bytes, sends three, and then nothing: what a broken network does to a download.
    server = createServer((_, response) => {
      response.writeHead(200, { 'content-length': '10' })
      response.write('abc')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    slow = openObjectStore({ ...config, endpoint, public_endpoint: endpoint })
  })
  afterAll(() => {
    slow.destroy()
    server.closeAllConnections()
    server.close()
  })

  it('fails the digest when no byte comes', async () => {
    await expect(slow.digest('big', { idleTimeoutMs: 200 })).rejects.toThrow('no byte of big for 200 ms')
  })

  it('fails the digest when it takes too long altogether', async () => {
    await expect(slow.digest('big', { timeoutMs: 200 })).rejects.toThrow(/timeout|aborted/i)
  })

  it('ends the digest when the caller gives up', async () => {
    const abort = new AbortController()
    const digest = slow.digest('big', { signal: abort.signal })
    setTimeout(() => abort.abort(new Error('the worker is being stopped')), 100)
    await expect(digest).rejects.toThrow(/being stopped|aborted/i)
  })
})
