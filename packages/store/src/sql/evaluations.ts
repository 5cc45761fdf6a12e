import type { Digest, EvaluationId, EvaluationResult, RunId, StageId } from '@limbeck/contracts'
import type { Queryable } from '../transaction.ts'

export interface EvaluationRow {
  id: EvaluationId
  run_id: RunId
  stage_id: StageId
  stage_name: string
  model: Digest | null
  body: EvaluationResult
  created_at: Date
}

export async function insertEvaluation(
  tx: Queryable,
  row: {
    id: EvaluationId
    project: string
    run: string
    stage: string
    stage_name: string
    model: Digest | null
    evaluation: EvaluationResult
  },
): Promise<void> {
  const { evaluation } = row
  await tx.query(
    `INSERT INTO evaluation (id, project, run_id, stage_id, stage_name, model, role, protocol_hash, body)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    [
      row.id,
      row.project,
      row.run,
      row.stage,
      row.stage_name,
      row.model,
      evaluation.role,
      evaluation.protocol_hash,
      JSON.stringify(evaluation),
    ],
  )
}

/** Newest first. Indexes: evaluation (run_id); primary key for the whole project. */
export async function selectEvaluations(
  db: Queryable,
  project: string,
  run: string | null,
  limit: number,
): Promise<EvaluationRow[]> {
  const { rows } = await db.query<EvaluationRow>(
    `SELECT id, run_id, stage_id, stage_name, model, body, created_at FROM evaluation
     WHERE project = $1 AND ($2::text IS NULL OR run_id = $2) ORDER BY id DESC LIMIT $3`,
    [project, run, limit],
  )
  return rows
}
