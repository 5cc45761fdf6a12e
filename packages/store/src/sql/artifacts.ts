import type { Digest, TreeManifest, UploadId } from '@limbeck/contracts'
import type { Queryable } from '../transaction.ts'

export interface ArtifactRow {
  digest: Digest
  kind: 'blob' | 'tree'
  object_key: string
  /** Bytes of the blob, or of all files of the tree. */
  size: number
  verified_at: string
  /** Of a tree. */
  manifest: TreeManifest | null
}

export type UploadState = 'pending' | 'completed' | 'verified' | 'mismatch' | 'aborted'

export interface UploadRow {
  id: UploadId
  project: string
  sha256: Digest
  /** Bytes of the object: of a tree, of its manifest. */
  size: number
  kind: 'blob' | 'tree'
  object_key: string
  multipart_id: string
  part_size: number
  state: UploadState
  owner: string
  created_at: string
}

/** Sizes are below 2^53 by contract; `pg` gives bigint as text. */
const UPLOAD = `id, project, sha256, size::float8 AS size, kind, object_key, multipart_id, part_size, state, owner,
  to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS created_at`

/** Index: primary key. */
export async function selectArtifacts(db: Queryable, digests: readonly Digest[]): Promise<ArtifactRow[]> {
  const { rows } = await db.query<ArtifactRow>(
    `SELECT digest, kind, object_key, size::float8 AS size, manifest,
       to_char(verified_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS verified_at
     FROM artifact WHERE digest = ANY($1::text[])`,
    [digests],
  )
  return rows
}

/** The first key of a digest stays: what was read under it never changes. @returns whether this one was taken */
export async function insertArtifact(
  tx: Queryable,
  artifact: Pick<ArtifactRow, 'digest' | 'kind' | 'object_key' | 'size' | 'manifest'>,
): Promise<boolean> {
  const { rowCount } = await tx.query(
    `INSERT INTO artifact (digest, kind, object_key, size, manifest) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (digest) DO NOTHING`,
    [
      artifact.digest,
      artifact.kind,
      artifact.object_key,
      artifact.size,
      artifact.manifest === null ? null : JSON.stringify(artifact.manifest),
    ],
  )
  return rowCount === 1
}

export async function insertUpload(
  db: Queryable,
  upload: Omit<UploadRow, 'state' | 'created_at'>,
): Promise<void> {
  await db.query(
    `INSERT INTO upload (id, project, sha256, size, kind, object_key, multipart_id, part_size, owner, state)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'pending')`,
    [
      upload.id,
      upload.project,
      upload.sha256,
      upload.size,
      upload.kind,
      upload.object_key,
      upload.multipart_id,
      upload.part_size,
      upload.owner,
    ],
  )
}

/** Index: primary key. */
export async function selectUploads(
  db: Queryable,
  project: string,
  ids: readonly string[],
): Promise<UploadRow[]> {
  const { rows } = await db.query<UploadRow>(
    `SELECT ${UPLOAD} FROM upload WHERE project = $1 AND id = ANY($2::text[])`,
    [project, ids],
  )
  return rows
}

/** Where the table allows it; null where the upload is in none of `from`. Index: primary key. */
export async function moveUpload(
  tx: Queryable,
  upload: string,
  from: readonly UploadState[],
  to: UploadState,
  message: string | null,
): Promise<UploadRow | null> {
  const { rows } = await tx.query<UploadRow>(
    `UPDATE upload SET state = $3, message = $4, updated_at = now() WHERE id = $1 AND state = ANY($2::text[])
     RETURNING ${UPLOAD}`,
    [upload, from, to, message],
  )
  return rows[0] ?? null
}

export async function selectUpload(db: Queryable, upload: string): Promise<UploadRow | null> {
  const { rows } = await db.query<UploadRow>(`SELECT ${UPLOAD} FROM upload WHERE id = $1`, [upload])
  return rows[0] ?? null
}

/** In a state for longer than `seconds`; blobs before trees, which need them. Index: upload (state, updated_at). */
export async function selectUploadsIn(
  db: Queryable,
  state: UploadState,
  seconds: number,
  limit: number,
): Promise<UploadRow[]> {
  const { rows } = await db.query<UploadRow>(
    `SELECT ${UPLOAD} FROM upload WHERE state = $1 AND updated_at <= now() - make_interval(secs => $2)
     ORDER BY kind, updated_at LIMIT $3`,
    [state, seconds, limit],
  )
  return rows
}

/** Index: upload (sha256). */
export async function selectPendingDigests(db: Queryable, digests: readonly Digest[]): Promise<Digest[]> {
  const { rows } = await db.query<{ sha256: Digest }>(
    `SELECT DISTINCT sha256 FROM upload WHERE sha256 = ANY($1::text[]) AND state = 'completed'`,
    [digests],
  )
  return rows.map((row) => row.sha256)
}
