import type { Digest, TreeManifest } from '@limbeck/contracts'
import { ok } from '@limbeck/core'
import { failure, notFound, type StoreResult } from '../failure.ts'
import {
  type ArtifactRow,
  insertArtifact,
  insertUpload,
  moveUpload,
  selectArtifacts,
  selectPendingDigests,
  selectUpload,
  selectUploads,
  selectUploadsIn,
  type UploadRow,
} from '../sql/artifacts.ts'
import { insertEvent } from '../sql/events.ts'
import type { Store } from '../store.ts'
import { transaction } from '../transaction.ts'

/** Verified ones only, in no order. */
export const findArtifacts = (store: Store, digests: readonly Digest[]): Promise<ArtifactRow[]> =>
  selectArtifacts(store.pool, digests)

/** verified: stored and hashed; pending: stored, to be hashed; absent: neither. For the files of a tree. */
export async function artifactStates(
  store: Store,
  digests: readonly Digest[],
): Promise<Map<Digest, 'verified' | 'pending' | 'absent'>> {
  const pending = new Set(await selectPendingDigests(store.pool, digests))
  // Read second: an upload that is verified in between is found here rather than nowhere.
  const verified = new Set((await selectArtifacts(store.pool, digests)).map(({ digest }) => digest))
  return new Map(
    digests.map((digest) => [
      digest,
      verified.has(digest) ? 'verified' : pending.has(digest) ? 'pending' : 'absent',
    ]),
  )
}

/** After the object store has opened the multipart upload under a random key. */
export const createUpload = (store: Store, upload: Omit<UploadRow, 'state' | 'created_at'>): Promise<void> =>
  insertUpload(store.pool, upload)

export const findUploads = (store: Store, project: string, ids: readonly string[]): Promise<UploadRow[]> =>
  selectUploads(store.pool, project, ids)

/** After the object store has closed the multipart upload. Again is fine. Failures: not_found, conflict. */
export const markUploadCompleted = (store: Store, upload: string): StoreResult<UploadRow> =>
  transaction<Awaited<StoreResult<UploadRow>>>(store, async (tx) => {
    const moved = await moveUpload(tx, upload, ['pending'], 'completed', null)
    if (moved !== null) {
      await insertEvent(tx, {
        project: moved.project,
        run: null,
        stage: null,
        type: 'upload.completed',
        payload: { upload },
      })
      return ok(moved)
    }
    const stored = await selectUpload(tx, upload)
    if (stored === null) return notFound('upload', upload)
    if (stored.state === 'mismatch')
      return failure('artifact_mismatch', `upload ${upload} does not have the digest ${stored.sha256}`)
    return stored.state === 'aborted'
      ? failure('conflict', `upload ${upload} was aborted; ask for a new one`)
      : ok(stored)
  })

/** To be hashed: blobs before the trees that need them, oldest first. */
export const listCompletedUploads = (store: Store, limit: number): Promise<UploadRow[]> =>
  selectUploadsIn(store.pool, 'completed', 0, limit)

/** Never completed for that long. */
export const listStaleUploads = (
  store: Store,
  older_than_seconds: number,
  limit: number,
): Promise<UploadRow[]> => selectUploadsIn(store.pool, 'pending', older_than_seconds, limit)

export const markUploadAborted = async (store: Store, upload: string): Promise<void> => {
  await moveUpload(store.pool, upload, ['pending'], 'aborted', null)
}

export type UploadVerdict =
  /** The bytes have the promised digest; a tree comes with its parsed manifest, whose files are all verified. */
  | { state: 'verified'; manifest: TreeManifest | null }
  /** They do not; `found` says what they are. */
  | { state: 'mismatch'; found: string }

/**
 * After the stored bytes were hashed: maps the digest to this object once. @returns keep false: the digest has an
 * object already, or the bytes are wrong: delete this one. Failures: not_found, conflict.
 */
export const settleUpload = (
  store: Store,
  upload: string,
  verdict: UploadVerdict,
): StoreResult<{ keep: boolean }> =>
  transaction<Awaited<StoreResult<{ keep: boolean }>>>(store, async (tx) => {
    const message = verdict.state === 'mismatch' ? verdict.found : null
    const moved = await moveUpload(tx, upload, ['completed'], verdict.state, message)
    if (moved === null) {
      const stored = await selectUpload(tx, upload)
      if (stored === null) return notFound('upload', upload)
      if (stored.state !== verdict.state)
        return failure('conflict', `upload ${upload} is ${stored.state}; only a completed one is settled`)
      const [artifact] = await selectArtifacts(tx, [stored.sha256])
      return ok({ keep: artifact?.object_key === stored.object_key })
    }
    if (verdict.state === 'mismatch') return ok({ keep: false })
    const size = verdict.manifest?.files.reduce((sum, file) => sum + file.size, 0) ?? moved.size
    const { manifest } = verdict
    const { sha256: digest, kind, object_key } = moved
    const keep = await insertArtifact(tx, { digest, kind, object_key, size, manifest })
    await insertEvent(tx, {
      project: moved.project,
      run: null,
      stage: null,
      type: 'artifact.verified',
      payload: { digest, kind },
    })
    return ok({ keep })
  })
