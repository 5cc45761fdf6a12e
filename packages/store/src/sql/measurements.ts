import type { Digest, MeasurementBody, MeasurementId } from '@limbeck/contracts'
import type { Queryable } from '../transaction.ts'

export interface MeasurementRow {
  id: MeasurementId
  token_name: string
  signature: Digest
  body: MeasurementBody
  created_at: Date
}

const COLUMNS = 'id, token_name, signature, body, created_at'

/** The same again (by its signature) changes nothing. Index: unique (project, signature). */
export async function insertMeasurement(
  db: Queryable,
  row: { id: MeasurementId; project: string; token_name: string; signature: string; body: MeasurementBody },
): Promise<MeasurementRow> {
  await db.query(
    `INSERT INTO measurement (id, project, token_name, program_sha256, signature, body)
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (project, signature) DO NOTHING`,
    [row.id, row.project, row.token_name, row.body.program_sha256, row.signature, JSON.stringify(row.body)],
  )
  const { rows } = await db.query<MeasurementRow>(
    `SELECT ${COLUMNS} FROM measurement WHERE project = $1 AND signature = $2`,
    [row.project, row.signature],
  )
  const [stored] = rows
  if (stored === undefined) throw new Error(`measurement ${row.id} was not stored`)
  return stored
}

/** Newest first. Indexes: (project, program_sha256); primary key. */
export async function selectMeasurements(
  db: Queryable,
  project: string,
  program: string | null,
  limit: number,
): Promise<MeasurementRow[]> {
  const { rows } = await db.query<MeasurementRow>(
    `SELECT ${COLUMNS} FROM measurement
     WHERE project = $1 AND ($2::text IS NULL OR program_sha256 = $2) ORDER BY id DESC LIMIT $3`,
    [project, program, limit],
  )
  return rows
}
