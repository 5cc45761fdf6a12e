import {
  type DownloadUrls,
  type UploadComplete,
  UploadId,
  type UploadRequest,
  type UploadTickets,
} from '@limbeck/contracts'
import {
  createUpload,
  findArtifacts,
  findUploads,
  markUploadCompleted,
  newId,
  type UploadRow,
} from '@limbeck/store'
import type { z } from 'zod'
import { type ApiContext, settled } from './context.ts'
import { notFound, ProblemError } from './problem.ts'

/** Bytes of a part; larger only where a blob would need more parts than S3 takes. */
const PART_BYTES = 64 * 1024 ** 2
const PARTS_OF_A_BLOB = 10_000
const PARTS_OF_A_REQUEST = 20_000
/** URLs must last while an agent on a slow line sends what it asked for. */
export const URL_SECONDS = 6 * 3600
const PARALLEL = 8

const partSize = (size: number): number =>
  Math.max(PART_BYTES, Math.ceil(size / PARTS_OF_A_BLOB / 1024 ** 2) * 1024 ** 2)

/** An empty blob has one empty part. */
const partCount = (size: number): number => Math.max(1, Math.ceil(size / partSize(size)))

/** Applies `work` to each item, `PARALLEL` at a time, in order of the answers. */
async function parallel<T, U>(items: readonly T[], work: (item: T) => Promise<U>): Promise<U[]> {
  const results: U[] = []
  let next = 0
  const lane = async () => {
    for (let index = next++; index < items.length; index = next++)
      results[index] = await work(items[index] as T)
  }
  await Promise.all(Array.from({ length: PARALLEL }, lane))
  return results
}

type Blob = z.infer<typeof UploadRequest>['blobs'][number]
type Ticket = z.infer<typeof UploadTickets>['tickets'][number]

/**
 * A ticket for each blob that is not stored. Objects lie under random ids: a signed URL is a right to a key, and only
 * what the server has hashed itself gets its digest's name.
 */
export async function openUploads(
  { store, objects }: ApiContext,
  project: string,
  owner: string,
  blobs: readonly Blob[],
): Promise<z.infer<typeof UploadTickets>> {
  const distinct = [...new Map(blobs.map((blob) => [blob.sha256, blob])).values()]
  const parts = distinct.reduce((sum, blob) => sum + partCount(blob.size), 0)
  if (parts > PARTS_OF_A_REQUEST)
    throw new ProblemError(
      'invalid_request',
      `the blobs need ${parts} parts; at most ${PARTS_OF_A_REQUEST} a request: ask for fewer at a time`,
    )
  const digests = distinct.map((blob) => blob.sha256)
  const stored = new Set((await findArtifacts(store, digests)).map((artifact) => artifact.digest))
  const open = async (blob: Blob): Promise<Ticket> => {
    const { sha256, size, kind } = blob
    if (stored.has(sha256)) return { sha256, state: 'present', upload: null, part_size: null, parts: [] }
    const id = UploadId.parse(newId('upl'))
    const object_key = `objects/${id}`
    const { upload_id: multipart_id } = await objects.createUpload(object_key)
    const part_size = partSize(size)
    // Written before anyone can send a byte: what is not in the table would never be cleaned up.
    await createUpload(store, { id, project, sha256, size, kind, object_key, multipart_id, part_size, owner })
    const urls = await Promise.all(
      Array.from({ length: partCount(size) }, async (_, index) => ({
        number: index + 1,
        url: await objects.signPart(
          object_key,
          multipart_id,
          index + 1,
          Math.min(part_size, size - index * part_size),
          URL_SECONDS,
        ),
      })),
    )
    return { sha256, state: 'upload', upload: id, part_size, parts: urls }
  }
  return { tickets: await parallel(distinct, open), expires_seconds: URL_SECONDS }
}

const REFUSED_PARTS = ['InvalidPart', 'InvalidPartOrder', 'EntityTooSmall', 'InvalidRequest']

/** Joins the parts. Again is fine: what the object store has joined already is only marked. */
export async function completeUploads(
  { store, objects }: ApiContext,
  project: string,
  { uploads }: z.infer<typeof UploadComplete>,
): Promise<{ uploads: { upload: UploadRow['id']; state: UploadRow['state'] }[] }> {
  const rows = new Map(
    (
      await findUploads(
        store,
        project,
        uploads.map(({ upload }) => upload),
      )
    ).map((row) => [row.id, row]),
  )
  const unknown = uploads.find(({ upload }) => !rows.has(upload))
  if (unknown) throw notFound('upload', unknown.upload)
  const finish = async ({ upload, parts }: (typeof uploads)[number]) => {
    const row = rows.get(upload) as UploadRow
    if (row.state === 'pending') {
      try {
        await objects.completeUpload(
          row.object_key,
          row.multipart_id,
          parts.map(({ number, etag }) => ({ part: number, etag })),
        )
      } catch (error) {
        const { name, message } = error as Error
        if (REFUSED_PARTS.includes(name))
          throw new ProblemError('conflict', `the parts of upload ${upload} do not fit: ${name}: ${message}`)
        // Joined before, and the answer was lost; if it was not, hashing finds no object and says so.
        if (name !== 'NoSuchUpload') throw error
      }
    }
    const { id, state } = settled(await markUploadCompleted(store, upload))
    return { upload: id, state }
  }
  return { uploads: await parallel(uploads, finish) }
}

/** Signed URLs of verified blobs and manifests. @throws ProblemError unknown_artifact naming what is not stored */
export async function downloadUrls(
  { store, objects }: ApiContext,
  digests: readonly string[],
): Promise<z.infer<typeof DownloadUrls>> {
  const found = new Map((await findArtifacts(store, digests)).map((artifact) => [artifact.digest, artifact]))
  const missing = digests.filter((digest) => !found.has(digest))
  if (missing.length > 0)
    throw new ProblemError(
      'unknown_artifact',
      `not stored, or not verified yet: ${missing.slice(0, 10).join(', ')}${missing.length > 10 ? ` and ${missing.length - 10} more` : ''}`,
    )
  const blobs = await Promise.all(
    [...found.values()].map(async ({ digest, size, object_key }) => ({
      digest,
      size,
      url: await objects.signGet(object_key, { expirySeconds: URL_SECONDS }),
    })),
  )
  return { blobs, expires_seconds: URL_SECONDS }
}
