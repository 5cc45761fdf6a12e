import type {
  Digest,
  GateResult,
  ModelVersionId,
  PromotionId,
  ReleaseManifest,
  RunId,
} from '@limbeck/contracts'
import type { z } from 'zod'
import { only, type Queryable } from '../transaction.ts'

export interface ModelVersionRow {
  id: ModelVersionId
  project: string
  name: string
  version: number
  run_id: RunId
  model: Digest
  decoder: Digest
  package: Digest
  gates: GateResult[]
  promotable: boolean
  created_at: Date
}

/** First argument of the advisory locks, beside those of claims. */
const NAME_LOCK = 3
const ALIAS_LOCK = 4

/** The next number of a name, without gaps. One version a run. Index: unique (project, name, version). */
export async function insertModelVersion(
  tx: Queryable,
  model: Omit<ModelVersionRow, 'version' | 'created_at'>,
): Promise<{ id: ModelVersionId; version: number }> {
  await tx.query('SELECT pg_advisory_xact_lock($1, hashtext($2))', [
    NAME_LOCK,
    `${model.project} ${model.name}`,
  ])
  const { rows } = await tx.query<{ id: ModelVersionId; version: number }>(
    `INSERT INTO model_version (id, project, name, version, run_id, model, decoder, package, gates, promotable)
     VALUES ($1, $2, $3, (SELECT coalesce(max(version), 0) + 1 FROM model_version WHERE project = $2 AND name = $3),
       $4, $5, $6, $7, $8, $9)
     RETURNING id, version`,
    [
      model.id,
      model.project,
      model.name,
      model.run_id,
      model.model,
      model.decoder,
      model.package,
      JSON.stringify(model.gates),
      model.promotable,
    ],
  )
  return only(rows)
}

export type ModelWithAliases = ModelVersionRow & { aliases: string[] }

/** Newest first. Indexes: primary key, unique (run_id). */
export async function selectModels(
  db: Queryable,
  project: string,
  filter: { run: string | null; id: string | null; limit: number },
): Promise<ModelWithAliases[]> {
  const { rows } = await db.query<ModelWithAliases>(
    `SELECT model_version.*, ARRAY(SELECT name FROM alias
       WHERE alias.project = model_version.project AND model_version_id = model_version.id ORDER BY name) AS aliases
     FROM model_version
     WHERE project = $1 AND ($2::text IS NULL OR run_id = $2) AND ($3::text IS NULL OR id = $3)
     ORDER BY id DESC LIMIT $4`,
    [project, filter.run, filter.id, filter.limit],
  )
  return rows
}

export interface PromotionRow {
  id: PromotionId
  project: string
  alias: string
  model_version_id: ModelVersionId
  previous_id: ModelVersionId | null
  manifest_digest: Digest
  manifest: z.infer<typeof ReleaseManifest>
  promoted_by: string
  reason: string
  created_at: Date
}

/** Two promotions of an alias happen one after the other. @returns what it names now; index: primary keys */
export async function lockAlias(tx: Queryable, project: string, alias: string): Promise<PromotionRow | null> {
  await tx.query('SELECT pg_advisory_xact_lock($1, hashtext($2))', [ALIAS_LOCK, `${project} ${alias}`])
  return selectAlias(tx, project, alias)
}

export async function selectAlias(
  db: Queryable,
  project: string,
  alias: string,
): Promise<PromotionRow | null> {
  const { rows } = await db.query<PromotionRow>(
    `SELECT promotion.* FROM alias JOIN promotion ON promotion.id = alias.promotion_id
     WHERE alias.project = $1 AND alias.name = $2`,
    [project, alias],
  )
  return rows[0] ?? null
}

export async function insertPromotion(tx: Queryable, row: PromotionRow): Promise<void> {
  await tx.query(
    `INSERT INTO promotion (id, project, alias, model_version_id, previous_id, manifest_digest, manifest, promoted_by,
       reason, created_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
    [
      row.id,
      row.project,
      row.alias,
      row.model_version_id,
      row.previous_id,
      row.manifest_digest,
      JSON.stringify(row.manifest),
      row.promoted_by,
      row.reason,
      row.created_at,
    ],
  )
  await tx.query(
    `INSERT INTO alias (project, name, model_version_id, promotion_id) VALUES ($1, $2, $3, $4)
     ON CONFLICT (project, name) DO UPDATE SET model_version_id = excluded.model_version_id,
       promotion_id = excluded.promotion_id, updated_at = now()`,
    [row.project, row.alias, row.model_version_id, row.id],
  )
}

/** Newest first. Index: promotion (project, alias, id). */
export async function selectPromotions(
  db: Queryable,
  project: string,
  alias: string | null,
  limit: number,
): Promise<PromotionRow[]> {
  const { rows } = await db.query<PromotionRow>(
    `SELECT * FROM promotion WHERE project = $1 AND ($2::text IS NULL OR alias = $2) ORDER BY id DESC LIMIT $3`,
    [project, alias, limit],
  )
  return rows
}
