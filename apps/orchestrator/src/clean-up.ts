import type { Logger, ObjectStore } from '@limbeck/platform'
import { deleteExpired, listStaleUploads, markUploadAborted, type Store } from '@limbeck/store'

/** The API's URLs last six hours; nobody can send a part after that. */
const STALE_SECONDS = 7 * 3600
const BATCH = 100

/** Gives back what unfinished uploads hold in the object store, and forgets what has expired. */
export async function cleanUpRound(store: Store, objects: ObjectStore, log: Logger): Promise<boolean> {
  const stale = await listStaleUploads(store, STALE_SECONDS, BATCH)
  for (const { id, object_key, multipart_id } of stale) {
    await objects.abortUpload(object_key, multipart_id)
    await markUploadAborted(store, id)
  }
  if (stale.length > 0) log.info('uploads_aborted', { count: stale.length })
  const expired = await deleteExpired(store)
  if (expired > 0) log.info('expired_deleted', { count: expired })
  return stale.length === BATCH
}
