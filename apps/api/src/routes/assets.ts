import { AssetCreate, AssetList, AssetView } from '@limbeck/contracts'
import { createAsset, listAssets, recordAudit } from '@limbeck/store'
import { actorOf, identityOf } from '../auth.ts'
import { type ApiContext, type App, settled } from '../context.ts'
import { route } from '../route.ts'

const tags = ['artifacts']

export function assetRoutes(app: App, context: ApiContext): void {
  const { store } = context

  app.get(
    '/v1/assets',
    route(context, 'viewer', {
      tags,
      summary: 'Named data sets, snapshots and models that recipes refer to',
      response: { 200: AssetList },
    }),
    async (request) => ({ assets: await listAssets(store, identityOf(request).project) }),
  )

  app.post(
    '/v1/assets',
    route(context, 'submitter', {
      tags,
      summary: 'Name a verified tree; a name never changes its content',
      body: AssetCreate,
      response: { 201: AssetView },
    }),
    async (request, reply) => {
      const identity = identityOf(request)
      const asset = settled(await createAsset(store, identity.project, request.body, actorOf(identity)))
      await recordAudit(store, {
        project: identity.project,
        actor: actorOf(identity),
        action: 'asset.create',
        resource: asset.name,
        request_id: request.id,
        detail: { digest: asset.digest },
      })
      return reply.code(201).send(asset)
    },
  )
}
