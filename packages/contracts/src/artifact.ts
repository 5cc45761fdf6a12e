import { z } from 'zod'
import { Digest, Name, Timestamp } from './common.ts'
import { UploadId } from './ids.ts'

/**
 * An artifact is bytes named by their SHA-256: a blob, or a tree. A tree is the canonical JSON of
 * its manifest; the digest of that JSON is the tree's digest.
 */
export const TreeManifest = z
  .strictObject({
    format: z.literal('limbeck-tree-1'),
    files: z
      .array(z.strictObject({ path: z.string().min(1).max(500), size: z.int().min(0), sha256: Digest }))
      .max(100_000)
      .describe('sorted by path; "/" between folders; no "..", no leading "/"'),
  })
  .meta({ id: 'TreeManifest' })
export type TreeManifest = z.infer<typeof TreeManifest>

export const ArtifactKind = z.enum(['blob', 'tree'])

export const ArtifactView = z
  .strictObject({
    digest: Digest,
    kind: ArtifactKind,
    size: z.int().min(0).describe('bytes of the blob, or of all files of the tree'),
    verified_at: Timestamp,
    url: z.string().nullable().describe('presigned GET of a blob, valid for url_expires_seconds'),
    url_expires_seconds: z.int().nullable(),
    files: z
      .array(z.strictObject({ path: z.string(), size: z.int(), sha256: Digest }))
      .nullable()
      .describe('of a tree'),
  })
  .meta({ id: 'ArtifactView' })

/** Blobs that a client wants stored. At most 64 MiB a part; the server chooses the parts. */
export const UploadRequest = z
  .strictObject({
    blobs: z
      .array(
        z.strictObject({
          sha256: Digest,
          size: z.int().min(0).max(5_000_000_000_000),
          kind: ArtifactKind.default('blob'),
        }),
      )
      .min(1)
      .max(500),
  })
  .meta({ id: 'UploadRequest' })

export const UploadTicket = z
  .strictObject({
    sha256: Digest,
    state: z.enum(['present', 'upload']).describe('present: the bytes are stored already'),
    upload: UploadId.nullable(),
    part_size: z.int().nullable(),
    parts: z.array(z.strictObject({ number: z.int().min(1), url: z.string() })),
  })
  .meta({ id: 'UploadTicket' })
export const UploadTickets = z
  .strictObject({ tickets: z.array(UploadTicket), expires_seconds: z.int() })
  .meta({ id: 'UploadTickets' })

export const UploadComplete = z
  .strictObject({
    uploads: z
      .array(
        z.strictObject({
          upload: UploadId,
          parts: z
            .array(z.strictObject({ number: z.int().min(1), etag: z.string().max(200) }))
            .min(1)
            .max(10_000),
        }),
      )
      .min(1)
      .max(500),
  })
  .meta({ id: 'UploadComplete' })

export const DownloadRequest = z
  .strictObject({ digests: z.array(Digest).min(1).max(500) })
  .meta({ id: 'DownloadRequest' })
export const DownloadUrls = z
  .strictObject({
    blobs: z.array(z.strictObject({ digest: Digest, size: z.int(), url: z.string() })),
    expires_seconds: z.int(),
  })
  .meta({ id: 'DownloadUrls' })

/** A named, immutable artifact that recipes refer to: a data set or a teacher snapshot. */
export const AssetCreate = z
  .strictObject({
    name: Name,
    kind: z.enum(['dataset', 'snapshot', 'model']),
    digest: Digest,
    licence: z.string().max(500),
  })
  .meta({ id: 'AssetCreate' })
export const AssetView = AssetCreate.extend({ created_at: Timestamp, created_by: z.string() }).meta({
  id: 'AssetView',
})
export const AssetList = z.strictObject({ assets: z.array(AssetView) }).meta({ id: 'AssetList' })
