import { ArtifactView, Digest } from '@limbeck/contracts'
import { type ArtifactRow, artifactStates, findArtifacts } from '@limbeck/store'
import { z } from 'zod'
import type { ApiContext, App } from '../context.ts'
import { contentOf } from '../file-types.ts'
import { ProblemError } from '../problem.ts'
import { route } from '../route.ts'

const tags = ['artifacts']
const URL_SECONDS = 3600
const INLINE_BYTES = 8 * 1024 * 1024

async function verified({ store }: ApiContext, digest: string): Promise<ArtifactRow> {
  const [artifact] = await findArtifacts(store, [digest])
  if (artifact) return artifact
  if ((await artifactStates(store, [digest])).get(digest) === 'pending')
    throw new ProblemError('artifact_not_verified', `${digest} has arrived and is being hashed; ask again`, {
      headers: { 'retry-after': '1' },
    })
  throw new ProblemError('not_found', `there is no artifact ${digest}`)
}

export function artifactRoutes(app: App, context: ApiContext): void {
  const { store, objects } = context

  app.get(
    '/v1/artifacts/:digest',
    route(context, 'viewer', {
      tags,
      summary: 'An artifact; 409 artifact_not_verified until the server has hashed it',
      params: z.strictObject({ digest: Digest }),
      response: { 200: ArtifactView },
    }),
    async (request) => {
      const { digest, kind, size, verified_at, manifest, object_key } = await verified(
        context,
        request.params.digest,
      )
      const files = manifest?.files ?? null
      const url = kind === 'blob' ? await objects.signGet(object_key, { expirySeconds: URL_SECONDS }) : null
      return {
        digest,
        kind,
        size: files === null ? size : files.reduce((sum, file) => sum + file.size, 0),
        verified_at,
        url,
        url_expires_seconds: url === null ? null : URL_SECONDS,
        files,
      }
    },
  )

  app.get(
    '/v1/artifacts/:digest/files/*',
    route(context, 'viewer', {
      tags,
      summary: 'A file of a tree: a redirect to it, with its content type and disposition; or its bytes',
      params: z.strictObject({ digest: Digest, '*': z.string().min(1).max(500) }),
      querystring: z.strictObject({
        inline: z
          .literal('1')
          .optional()
          .describe('answer the bytes, for pages that may not read from the object store; 8 MiB at most'),
      }),
      response: { 200: z.any().describe('the bytes'), 302: z.null().describe('Location: a presigned URL') },
    }),
    async (request, reply) => {
      const { digest, '*': path } = request.params
      const tree = await verified(context, digest)
      const file = tree.manifest?.files.find((candidate) => candidate.path === path)
      if (!file)
        throw new ProblemError(
          'not_found',
          tree.manifest ? `tree ${digest} has no file ${path}` : `${digest} is a blob, not a tree`,
        )
      const [blob] = await findArtifacts(store, [file.sha256])
      if (!blob) throw new ProblemError('artifact_not_verified', `file ${path} of ${digest} is not verified`)
      if (request.query.inline !== undefined) {
        if (blob.size > INLINE_BYTES)
          throw new ProblemError('body_too_large', `${path} has ${blob.size} bytes; inline: ${INLINE_BYTES}`)
        const { contentType, contentDisposition } = contentOf(path)
        return reply
          .header('cache-control', `private, max-age=31536000, immutable`)
          .header('content-disposition', contentDisposition)
          .header('content-security-policy', "default-src 'none'; sandbox")
          .header('x-content-type-options', 'nosniff')
          .type(contentType)
          .send(await objects.readObject(blob.object_key, INLINE_BYTES))
      }
      const url = await objects.signGet(blob.object_key, { expirySeconds: URL_SECONDS, ...contentOf(path) })
      return reply.header('cache-control', `private, max-age=${URL_SECONDS / 2}`).redirect(url, 302)
    },
  )
}
