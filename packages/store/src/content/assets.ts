import type { AssetCreate, AssetView } from '@limbeck/contracts'
import { ok } from '@limbeck/core'
import type { z } from 'zod'
import { failure, type StoreResult } from '../failure.ts'
import type { Asset } from '../generated/client.ts'
import { iso } from '../rows.ts'
import { selectArtifacts } from '../sql/artifacts.ts'
import type { Store } from '../store.ts'

type AssetDto = z.infer<typeof AssetView>

const viewOf = (row: Asset): AssetDto => ({
  name: row.name,
  kind: row.kind as AssetDto['kind'],
  digest: row.digest,
  licence: row.licence,
  created_at: iso(row.created_at),
  created_by: row.created_by,
})

/** An asset's name means one content for ever; the same again is fine. Failures: unknown_artifact, asset_exists. */
export async function createAsset(
  store: Store,
  project: string,
  asset: z.infer<typeof AssetCreate>,
  created_by: string,
): StoreResult<AssetDto> {
  const [artifact] = await selectArtifacts(store.pool, [asset.digest])
  if (artifact?.kind !== 'tree')
    return failure(
      'unknown_artifact',
      `${asset.digest} is ${artifact === undefined ? 'not stored and verified' : 'a blob'}; an asset is a verified tree`,
    )
  await store.pool.query(
    `INSERT INTO asset (project, name, kind, digest, licence, created_by) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT DO NOTHING`,
    [project, asset.name, asset.kind, asset.digest, asset.licence, created_by],
  )
  const stored = await store.prisma.asset.findUniqueOrThrow({
    where: { project_name: { project, name: asset.name } },
  })
  return stored.digest === asset.digest && stored.kind === asset.kind
    ? ok(viewOf(stored))
    : failure(
        'asset_exists',
        `asset ${asset.name} is a ${stored.kind} with the content ${stored.digest}; take another name`,
      )
}

export async function listAssets(store: Store, project: string): Promise<AssetDto[]> {
  const rows = await store.prisma.asset.findMany({
    where: { project },
    orderBy: { name: 'asc' },
    take: 1000,
  })
  return rows.map(viewOf)
}
