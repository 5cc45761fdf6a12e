import type { Store } from '../store.ts'

/** Who did what to which thing. The table takes no update and no deletion. */
export async function recordAudit(
  store: Store,
  entry: {
    project: string | null
    actor: string
    action: string
    resource: string
    request_id: string
    detail?: unknown
  },
): Promise<void> {
  await store.pool.query(
    'INSERT INTO audit_log (project, actor, action, resource, request_id, detail) VALUES ($1, $2, $3, $4, $5, $6)',
    [
      entry.project,
      entry.actor,
      entry.action,
      entry.resource,
      entry.request_id,
      JSON.stringify(entry.detail ?? {}),
    ],
  )
}
