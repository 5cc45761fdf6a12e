import type { Digest, RunId } from '@limbeck/contracts'
import type { PlannedStage } from '@limbeck/core'
import type { RunRow } from '../rows.ts'
import type { Queryable } from '../transaction.ts'

export type NewRun = Pick<
  RunRow,
  | 'id'
  | 'project'
  | 'recipe'
  | 'recipe_version'
  | 'recipe_digest'
  | 'recipe_body'
  | 'assets'
  | 'label'
  | 'priority'
  | 'cache'
  | 'cache_salt'
  | 'submitted_by'
> & { overrides: Record<string, unknown> }

/** The run with its event; `queued` until its stages say otherwise. */
export async function insertRun(tx: Queryable, run: NewRun): Promise<void> {
  await tx.query(
    `WITH created AS (
       INSERT INTO run (id, project, recipe, recipe_version, recipe_digest, recipe_body, overrides, assets, label,
         priority, cache, cache_salt, submitted_by, state)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 'queued')
       RETURNING id, project, recipe, label
     )
     INSERT INTO event (project, run_id, type, payload)
     SELECT project, id, 'run.created', jsonb_build_object('recipe', recipe, 'label', label) FROM created`,
    [
      run.id,
      run.project,
      run.recipe,
      run.recipe_version,
      run.recipe_digest,
      JSON.stringify(run.recipe_body),
      JSON.stringify(run.overrides),
      JSON.stringify(run.assets),
      run.label,
      run.priority,
      run.cache,
      run.cache_salt,
      run.submitted_by,
    ],
  )
}

/** All stages at once, blocked. */
export async function insertStages(
  tx: Queryable,
  run: { id: RunId; project: string; priority: number },
  stages: readonly (PlannedStage & { id: string })[],
): Promise<void> {
  await tx.query(
    `INSERT INTO stage (id, run_id, project, name, kind, position, state, spec, inputs, needs, resource_class, priority,
       max_seconds, stall_seconds, last_log_lines)
     SELECT s.id, $1, $2, s.name, s.kind, s.position, 'blocked', s.spec, s.inputs, s.needs, s.resource_class, $3,
       s.max_seconds, s.stall_seconds, '{}'
     FROM jsonb_to_recordset($4) AS s (id text, name text, kind text, position int, spec jsonb, inputs jsonb,
       needs text[], resource_class text, max_seconds int, stall_seconds int)`,
    [
      run.id,
      run.project,
      run.priority,
      JSON.stringify(stages.map((stage, position) => ({ ...stage, position }))),
    ],
  )
}

/** Index: primary key. */
export async function selectAssets(
  tx: Queryable,
  project: string,
  names: readonly string[],
): Promise<{ name: string; kind: string; digest: Digest; licence: string }[]> {
  const { rows } = await tx.query<{ name: string; kind: string; digest: Digest; licence: string }>(
    'SELECT name, kind, digest, licence FROM asset WHERE project = $1 AND name = ANY($2::text[])',
    [project, names],
  )
  return rows
}
