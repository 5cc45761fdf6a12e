import {
  DownloadRequest,
  DownloadUrls,
  StageId,
  UploadComplete,
  UploadRequest,
  UploadTickets,
} from '@limbeck/contracts'
import { z } from 'zod'
import { identityOf } from '../auth.ts'
import type { ApiContext, App } from '../context.ts'
import { route } from '../route.ts'
import { completeUploads, downloadUrls, openUploads } from '../transfers.ts'
import { UPLOAD_LIMITS, UploadsCompleted } from './uploads.ts'

const tags = ['worker']
const params = z.strictObject({ stage: StageId })

/**
 * Bytes are named by their content, so these calls need no epoch: what a worker that lost its lease stores is an
 * artifact that nothing refers to.
 */
export function workerTransferRoutes(app: App, context: ApiContext): void {
  app.post(
    '/v1/worker/stages/:stage/uploads',
    route(
      context,
      'worker',
      {
        tags,
        summary: 'Presigned parts for blobs that are not stored yet',
        params,
        body: UploadRequest,
        response: { 200: UploadTickets },
      },
      UPLOAD_LIMITS.request,
    ),
    async (request) =>
      openUploads(context, identityOf(request).project, request.params.stage, request.body.blobs),
  )

  app.post(
    '/v1/worker/stages/:stage/uploads/complete',
    route(
      context,
      'worker',
      {
        tags,
        summary: 'Join the parts; the orchestrator then hashes what arrived',
        params,
        body: UploadComplete,
        response: { 200: UploadsCompleted },
      },
      UPLOAD_LIMITS.complete,
    ),
    async (request) => completeUploads(context, identityOf(request).project, request.body),
  )

  app.post(
    '/v1/worker/stages/:stage/downloads',
    route(context, 'worker', {
      tags,
      summary: 'Presigned URLs of verified blobs and tree manifests',
      params,
      body: DownloadRequest,
      response: { 200: DownloadUrls },
    }),
    async (request) => downloadUrls(context, request.body.digests),
  )
}
