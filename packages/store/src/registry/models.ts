import type { ModelVersionView } from '@limbeck/contracts'
import { ok } from '@limbeck/core'
import type { z } from 'zod'
import { notFound, type StoreResult } from '../failure.ts'
import { iso } from '../rows.ts'
import { type ModelWithAliases, selectModels } from '../sql/models.ts'
import type { Store } from '../store.ts'

type ModelDto = z.infer<typeof ModelVersionView>

const viewOf = (row: ModelWithAliases): ModelDto => ({
  id: row.id,
  name: row.name,
  version: row.version,
  run: row.run_id,
  model: row.model,
  decoder: row.decoder,
  package: row.package,
  gates: row.gates,
  promotable: row.promotable,
  aliases: row.aliases,
  created_at: iso(row.created_at),
})

/** Newest first. */
export async function listModels(
  store: Store,
  project: string,
  filter: { run?: string | undefined; limit: number },
): Promise<ModelDto[]> {
  const rows = await selectModels(store.pool, project, {
    run: filter.run ?? null,
    id: null,
    limit: filter.limit,
  })
  return rows.map(viewOf)
}

/** Failure: not_found. */
export async function getModel(store: Store, project: string, model: string): StoreResult<ModelDto> {
  const [row] = await selectModels(store.pool, project, { run: null, id: model, limit: 1 })
  return row === undefined ? notFound('model version', model) : ok(viewOf(row))
}
