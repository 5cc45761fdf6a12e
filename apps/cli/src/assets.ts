import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { AssetList, AssetView } from '@limbeck/contracts'
import type { ApiClient } from './client.ts'
import { packTree, uploadTree } from './trees.ts'

/** What the tiny recipes read beside their own stages: folders of snapshots/, by asset name. */
const ASSETS = { 'tiny-sd3': 'snapshot' } as const
const LICENCE = 'Apache-2.0; trained by this project on procedural data'

/**
 * Registers the committed teacher. An asset is immutable: where a checkout brings another content under the same
 * name, the API says so, and the stack's state must be moved away.
 */
export async function registerAssets(
  client: ApiClient,
  snapshots: string,
  report: (line: string) => void,
): Promise<void> {
  const { assets } = await client.get('/v1/assets', AssetList)
  for (const [name, kind] of Object.entries(ASSETS)) {
    const folder = join(snapshots, name)
    if (!readdirSync(snapshots).includes(name))
      throw new Error(`${folder} is missing: the checkout is not complete`)
    const { digest } = await packTree(folder)
    if (assets.some((asset) => asset.name === name && asset.digest === digest)) continue
    report(`uploading ${kind} ${name}`)
    await uploadTree(client, folder)
    await client.post('/v1/assets', AssetView, { name, kind, digest, licence: LICENCE })
  }
}
