import type { TreeManifest } from '@limbeck/contracts'
import type { Logger, ObjectStore } from '@limbeck/platform'
import {
  listCompletedUploads,
  type Store,
  settleUpload,
  settleVerifications,
  type UploadRow,
} from '@limbeck/store'
import { readManifest } from './tree-manifest.ts'
import { missingFiles } from './tree-members.ts'

/** Blobs hashed side by side: enough to fill the line to S3, few enough to leave a core alone. */
const LANES = 4
const BATCH = 200
const WAIT_MS = 100
/** After a failure; doubles with each one. */
const AGAIN_MS = 2_000
const LONGEST_AGAIN_MS = 120_000
/** A tree names files whose uploads are joined in the same call, moments later. */
const ABSENT_PATIENCE_MS = 30_000
/** Slowest line that a large blob is read over, bytes a second. */
const SLOWEST = 5_000_000

type Verdict =
  | { state: 'verified'; manifest: TreeManifest | null }
  | { state: 'mismatch'; found: string }
  /** Nothing can be said yet. */
  | { state: 'wait' }

/**
 * Hashes what arrived. The digest that a worker promised becomes the artifact's name only here, after every byte was
 * read again: a signed URL is a right to a key, not to a content.
 */
export class Verifier {
  readonly #store: Store
  readonly #objects: ObjectStore
  readonly #log: Logger
  /** Uploads to leave alone until a moment of the monotonic clock: one that fails must not hold up the others. */
  readonly #again = new Map<string, { at: number; failures: number }>()
  readonly #absentSince = new Map<string, number>()

  constructor(store: Store, objects: ObjectStore, log: Logger) {
    this.#store = store
    this.#objects = objects
    this.#log = log
  }

  /** One batch, files before trees. @returns whether something was settled, so that more may be ready */
  async round(signal: AbortSignal): Promise<boolean> {
    const now = performance.now()
    const listed = await listCompletedUploads(this.#store, BATCH)
    this.#forget(listed)
    const due = listed.filter(({ id }) => (this.#again.get(id)?.at ?? 0) <= now)
    let settled = 0
    for (const kind of ['blob', 'tree'] as const) {
      const waiting = due.filter((upload) => upload.kind === kind)
      const lane = async () => {
        for (let upload = waiting.shift(); upload && !signal.aborted; upload = waiting.shift())
          if (await this.#verify(upload, signal)) settled++
      }
      await Promise.all(Array.from({ length: LANES }, lane))
    }
    if (settled > 0) {
      const stages = await settleVerifications(this.#store)
      if (stages.length > 0) this.#log.info('stages_verified', { stages })
    }
    return settled > 0
  }

  async #verify(upload: UploadRow, signal: AbortSignal): Promise<boolean> {
    try {
      const verdict = await this.#judge(upload, signal)
      if (verdict.state === 'wait') {
        this.#again.set(upload.id, { at: performance.now() + WAIT_MS, failures: 0 })
        return false
      }
      const result = await settleUpload(this.#store, upload.id, verdict)
      if (!result.ok) throw new Error(`upload ${upload.id}: ${result.error.code}: ${result.error.detail}`)
      if (verdict.state === 'mismatch')
        this.#log.warn('artifact_mismatch', {
          upload: upload.id,
          expected: upload.sha256,
          found: verdict.found,
        })
      if (!result.value.keep) await this.#objects.deleteObject(upload.object_key)
      return true
    } catch (error) {
      if (!signal.aborted) this.#log.warn('verification_failed', { upload: upload.id, error })
      const failures = (this.#again.get(upload.id)?.failures ?? 0) + 1
      const pause = Math.min(AGAIN_MS * 2 ** (failures - 1), LONGEST_AGAIN_MS)
      this.#again.set(upload.id, { at: performance.now() + pause, failures })
      return false
    }
  }

  async #judge(upload: UploadRow, signal: AbortSignal): Promise<Verdict> {
    const { object_key, sha256, size } = upload
    const timeoutMs = 60_000 + Math.ceil(size / SLOWEST) * 1000
    let read: { digest: string; bytes: number }
    try {
      read = await this.#objects.digest(object_key, { signal, timeoutMs })
    } catch (error) {
      if ((error as Error).name === 'NoSuchKey') return { state: 'mismatch', found: 'no object' }
      throw error
    }
    if (read.digest !== sha256 || read.bytes !== size)
      return { state: 'mismatch', found: `${read.digest} in ${read.bytes} bytes` }
    return upload.kind === 'blob' ? { state: 'verified', manifest: null } : this.#judgeTree(upload)
  }

  async #judgeTree({ id, object_key, size }: UploadRow): Promise<Verdict> {
    const manifest = await readManifest(this.#objects, object_key, size)
    if (!manifest.ok) return { state: 'mismatch', found: manifest.error }
    const { pending, absent } = await missingFiles(this.#store, manifest.value)
    if (absent === null) this.#absentSince.delete(id)
    if (pending) return { state: 'wait' }
    if (absent === null) return { state: 'verified', manifest: manifest.value }
    const since = this.#absentSince.get(id) ?? performance.now()
    this.#absentSince.set(id, since)
    if (performance.now() - since < ABSENT_PATIENCE_MS) return { state: 'wait' }
    return { state: 'mismatch', found: `a tree without its file ${absent}` }
  }

  /** Uploads that are settled need no memory here. */
  #forget(listed: readonly UploadRow[]): void {
    const open = new Set<string>(listed.map(({ id }) => id))
    for (const map of [this.#again, this.#absentSince])
      for (const id of map.keys()) if (!open.has(id)) map.delete(id)
  }
}
