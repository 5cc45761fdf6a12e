import { createHash } from 'node:crypto'
import { createReadStream, readdirSync, statSync } from 'node:fs'
import { type FileHandle, mkdir, open, writeFile } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ArtifactView, type TreeManifest, UploadTickets } from '@limbeck/contracts'
import { canonicalJson } from '@limbeck/core'
import { z } from 'zod'
import { type ApiClient, ApiError } from './client.ts'

interface Blob {
  sha256: string
  size: number
  kind: 'blob' | 'tree'
  /** Reads `length` bytes from `offset`. */
  read: (offset: number, length: number) => Promise<Uint8Array<ArrayBuffer>>
}

const BLOBS_A_REQUEST = 200
/** Presigned addresses expire: what is asked for at once must be sent before. */
const BYTES_A_REQUEST = 2e9
/** The server hashes what arrived: at 20 MB/s in the worst case, after five minutes for whatever else it does. */
const VERIFY_MS = 300_000
const VERIFY_BYTES_PER_MS = 20_000

/** Called after each request with the bytes stored so far, those that were there already included. */
export type UploadProgress = (done: number, total: number) => void

async function fileDigest(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk)
  return hash.digest('hex')
}

async function readPart(path: string, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const handle: FileHandle = await open(path)
  try {
    const buffer = new Uint8Array(length)
    const { bytesRead } = await handle.read(buffer, 0, length, offset)
    if (bytesRead !== length)
      throw new Error(
        `${path} changed while it was read: expected ${length} bytes at ${offset}, found ${bytesRead}`,
      )
    return buffer
  } finally {
    await handle.close()
  }
}

/** A folder as a tree artifact: its manifest, and the blobs to store. */
export async function packTree(folder: string): Promise<{ digest: string; blobs: Blob[] }> {
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
    // A link to a file is that file.
    .filter((entry) => entry.isFile() || entry.isSymbolicLink())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => statSync(path).isFile())
  if (paths.length === 0) throw new Error(`${folder} holds no file`)
  const files: (TreeManifest['files'][number] & { source: string })[] = []
  for (const source of paths) {
    files.push({
      path: relative(folder, source).split(sep).join('/'),
      size: statSync(source).size,
      sha256: await fileDigest(source),
      source,
    })
  }
  files.sort((a, b) => (a.path < b.path ? -1 : 1))
  const manifest = Buffer.from(
    canonicalJson({ format: 'limbeck-tree-1', files: files.map(({ source: _source, ...file }) => file) }),
  )
  const digest = createHash('sha256').update(manifest).digest('hex')
  const blobs: Blob[] = files.map(({ source, sha256, size }) => ({
    sha256,
    size,
    kind: 'blob',
    read: (offset, length) => readPart(source, offset, length),
  }))
  blobs.push({
    sha256: digest,
    size: manifest.length,
    kind: 'tree',
    read: async (offset, length) => new Uint8Array(manifest.subarray(offset, offset + length)),
  })
  return { digest, blobs }
}

/** Stores a folder as a tree artifact and waits until the server has hashed it. @returns its digest. */
export async function uploadTree(
  client: ApiClient,
  folder: string,
  progress: UploadProgress = () => {},
): Promise<string> {
  const { digest, blobs } = await packTree(folder)
  const distinct = [...new Map(blobs.map((blob) => [blob.sha256, blob])).values()]
  const total = bytesOf(distinct)
  let done = 0
  for (const part of requests(distinct)) {
    await uploadBlobs(client, part)
    done += bytesOf(part)
    progress(done, total)
  }
  await verified(client, digest, VERIFY_MS + total / VERIFY_BYTES_PER_MS)
  return digest
}

const bytesOf = (blobs: Blob[]): number => blobs.reduce((sum, blob) => sum + blob.size, 0)

/** In order, as many as one request may hold; a blob larger than that travels alone. */
function* requests(blobs: Blob[]): Generator<Blob[]> {
  let part: Blob[] = []
  for (const blob of blobs) {
    const full = part.length === BLOBS_A_REQUEST || bytesOf(part) + blob.size > BYTES_A_REQUEST
    if (full && part.length > 0) {
      yield part
      part = []
    }
    part.push(blob)
  }
  yield part
}

async function uploadBlobs(client: ApiClient, blobs: Blob[]): Promise<void> {
  const request = { blobs: blobs.map(({ sha256, size, kind }) => ({ sha256, size, kind })) }
  const { tickets } = await client.post('/v1/uploads', UploadTickets, request)
  const uploads: { upload: string; parts: { number: number; etag: string }[] }[] = []
  for (const ticket of tickets) {
    const blob = blobs.find((candidate) => candidate.sha256 === ticket.sha256)
    if (ticket.state === 'present' || ticket.upload === null || !blob) continue
    const parts: { number: number; etag: string }[] = []
    for (const { number, url } of ticket.parts) {
      const offset = (number - 1) * (ticket.part_size ?? blob.size)
      const body = await blob.read(offset, Math.min(ticket.part_size ?? blob.size, blob.size - offset))
      parts.push({ number, etag: await putPart(url, body) })
    }
    uploads.push({ upload: ticket.upload, parts })
  }
  if (uploads.length > 0) await client.post('/v1/uploads/complete', z.unknown(), { uploads })
}

async function putPart(url: string, body: Uint8Array<ArrayBuffer>): Promise<string> {
  const response = await fetch(url, { method: 'PUT', body, signal: AbortSignal.timeout(300_000) })
  const etag = response.headers.get('etag')
  if (!response.ok || etag === null)
    throw new Error(`the object store refused a part: status ${response.status}`)
  return etag
}

async function verified(client: ApiClient, digest: string, patienceMs: number): Promise<void> {
  const deadline = Date.now() + patienceMs
  for (;;) {
    try {
      await client.get(`/v1/artifacts/${digest}`, ArtifactView)
      return
    } catch (error) {
      const waiting =
        error instanceof ApiError && (error.code === 'not_found' || error.code === 'artifact_not_verified')
      if (!waiting) throw error
      if (Date.now() > deadline)
        throw new Error(
          `artifact ${digest} was not verified within ${Math.round(patienceMs / 1000)} s; is the orchestrator up?`,
        )
    }
    await sleep(200)
  }
}

/** Writes a tree artifact's files below `folder`, those that `wanted` takes. @returns their paths in the tree. */
export async function downloadTree(
  client: ApiClient,
  digest: string,
  folder: string,
  wanted: (path: string) => boolean = () => true,
): Promise<string[]> {
  const { files } = await client.get(`/v1/artifacts/${digest}`, ArtifactView)
  const taken = (files ?? []).filter((file) => wanted(file.path))
  for (const file of taken) {
    const bytes = await client.bytes(
      `/v1/artifacts/${digest}/files/${file.path.split('/').map(encodeURIComponent).join('/')}`,
    )
    const found = createHash('sha256').update(bytes).digest('hex')
    if (found !== file.sha256)
      throw new Error(`${file.path} of ${digest}: expected ${file.sha256}, found ${found}`)
    const target = join(folder, file.path)
    await mkdir(dirname(target), { recursive: true })
    await writeFile(target, bytes)
  }
  return taken.map((file) => file.path)
}
