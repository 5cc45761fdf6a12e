import { UploadComplete, UploadId, UploadRequest, UploadTickets } from '@limbeck/contracts'
import { z } from 'zod'
import { actorOf, identityOf } from '../auth.ts'
import type { ApiContext, App } from '../context.ts'
import { route } from '../route.ts'
import { completeUploads, openUploads } from '../transfers.ts'

const tags = ['artifacts']

export const UploadsCompleted = z
  .strictObject({
    uploads: z.array(
      z.strictObject({
        upload: UploadId,
        state: z
          .enum(['pending', 'completed', 'verified', 'mismatch', 'aborted'])
          .describe('completed: joined, to be hashed'),
      }),
    ),
  })
  .meta({ id: 'UploadsCompleted' })

/** Of a request for tickets, and of one that lists up to 10,000 parts a blob. */
export const UPLOAD_LIMITS = { request: { bodyLimit: 256 * 1024 }, complete: { bodyLimit: 4 * 1024 ** 2 } }

export function uploadRoutes(app: App, context: ApiContext): void {
  app.post(
    '/v1/uploads',
    route(
      context,
      'submitter',
      {
        tags,
        summary: 'Presigned parts for blobs that are not stored yet',
        body: UploadRequest,
        response: { 200: UploadTickets },
      },
      UPLOAD_LIMITS.request,
    ),
    async (request) => {
      const identity = identityOf(request)
      return openUploads(context, identity.project, actorOf(identity), request.body.blobs)
    },
  )

  app.post(
    '/v1/uploads/complete',
    route(
      context,
      'submitter',
      {
        tags,
        summary: 'Join the parts; the orchestrator then hashes what arrived',
        body: UploadComplete,
        response: { 200: UploadsCompleted },
      },
      UPLOAD_LIMITS.complete,
    ),
    async (request) => completeUploads(context, identityOf(request).project, request.body),
  )
}
