import { createHash } from 'node:crypto'
import { canonicalJson } from '@limbeck/core'
import { newId } from '@limbeck/store'
import type { Answer, Client } from './client.ts'

export interface TestLease {
  run: string
  stage: string
  name: string
  epoch: number
  spec: { kind: string }
  inputs: Record<string, string>
  resume: { digest: string; step: number } | null
}

const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex')

export const registration = (name: string, changes: object = {}) => ({
  name,
  boot_id: `boot-${name}-0001`,
  resource_classes: ['cpu'],
  memory_gb: 8,
  gpu_count: 0,
  labels: {},
  code_digest: sha256('code'),
  environment: { torch: '2.13.0+cpu', device: 'cpu-x86_64', threads: 1, python: '3.11.9' },
  ...changes,
})

/** Sends blobs by their tickets, as any client does. @returns the answers to the calls for tickets and completion */
export async function sendBlobs(
  client: Client,
  base: string,
  blobs: Map<string, { bytes: Buffer; kind: string }>,
) {
  const request = [...blobs].map(([digest, { bytes, kind }]) => ({
    sha256: digest,
    size: bytes.length,
    kind,
  }))
  const { tickets } = await client.must('POST', `${base}/uploads`, { blobs: request })
  const uploads = []
  for (const { sha256: digest, state, upload, part_size, parts } of tickets) {
    if (state === 'present') continue
    const sent = []
    for (const { number, url } of parts) {
      const start = (number - 1) * part_size
      const body = blobs.get(digest)?.bytes.subarray(start, start + part_size) ?? Buffer.alloc(0)
      const response = await fetch(url, { method: 'PUT', body: new Uint8Array(body) })
      if (!response.ok) throw new Error(`part ${number}: ${response.status} ${await response.text()}`)
      sent.push({ number, etag: response.headers.get('etag') as string })
    }
    uploads.push({ upload, parts: sent })
  }
  if (uploads.length > 0) await client.must('POST', `${base}/uploads/complete`, { uploads })
  return tickets
}

/** A folder of texts as a tree: its digest, and its blobs. */
export function treeOf(files: Record<string, string>) {
  const blobs = new Map<string, { bytes: Buffer; kind: string }>()
  const rows = Object.entries(files)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, text]) => {
      const bytes = Buffer.from(text)
      blobs.set(sha256(bytes), { bytes, kind: 'blob' })
      return { path, size: bytes.length, sha256: sha256(bytes) }
    })
  const manifest = Buffer.from(canonicalJson({ format: 'limbeck-tree-1', files: rows }))
  const digest = sha256(manifest)
  blobs.set(digest, { bytes: manifest, kind: 'tree' })
  return { digest, blobs }
}

/** A worker that speaks the protocol and trains nothing. */
export class TestWorker {
  readonly client: Client
  readonly id: string

  private constructor(client: Client, id: string) {
    this.client = client
    this.id = id
  }

  static async register(client: Client, name: string, changes: object = {}): Promise<TestWorker> {
    const { worker } = await client.must('POST', '/v1/worker/register', registration(name, changes))
    return new TestWorker(client, worker)
  }

  async claim(wait_seconds = 10, claim: string = newId('clm')): Promise<TestLease | null> {
    const body = await this.client.must('POST', '/v1/worker/claim', { worker: this.id, claim, wait_seconds })
    return body.lease
  }

  /** @throws Error where there is nothing to do */
  async mustClaim(wait_seconds = 10): Promise<TestLease> {
    const lease = await this.claim(wait_seconds)
    if (lease === null) throw new Error('no stage to claim')
    return lease
  }

  call(lease: TestLease, name: string, body: object): Promise<Answer> {
    const fence = ['metrics', 'logs'].includes(name) ? {} : { worker: this.id }
    return this.client.post(`/v1/worker/stages/${lease.stage}/${name}`, {
      ...fence,
      epoch: lease.epoch,
      ...body,
    })
  }

  heartbeat(lease: TestLease, hold_seconds = 0, progress: object | null = null): Promise<Answer> {
    return this.call(lease, 'heartbeat', { hold_seconds, progress })
  }

  async upload(lease: TestLease, files: Record<string, string>): Promise<string> {
    const { digest, blobs } = treeOf(files)
    await sendBlobs(this.client, `/v1/worker/stages/${lease.stage}`, blobs)
    return digest
  }

  async complete(lease: TestLease, files: Record<string, string>, result: object = {}): Promise<Answer> {
    const output = await this.upload(lease, files)
    return this.call(lease, 'complete', { output, result: { metrics: {}, ...result } })
  }
}
