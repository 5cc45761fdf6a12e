import { isFinal } from '@limbeck/core'
import type { Queryable } from '../transaction.ts'
import { stateIs } from './states.ts'

export interface DurationRow {
  name: string
  kind: string
  resource_class: string
  seconds: number
}

/** Medians over the last 20 successes that computed something. Index: stage_project_name. */
export async function selectDurations(
  db: Queryable,
  project: string,
  stages: readonly { name: string; kind: string; resource_class: string }[],
): Promise<DurationRow[]> {
  const { rows } = await db.query<DurationRow>(
    `SELECT asked.name, asked.kind, asked.resource_class, took.seconds
     FROM jsonb_to_recordset($2::jsonb) AS asked (name text, kind text, resource_class text)
     CROSS JOIN LATERAL (
       SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM ended_at - started_at))::float8 AS seconds
       FROM (
         SELECT started_at, ended_at FROM stage
         WHERE project = $1 AND name = asked.name AND kind = asked.kind AND resource_class = asked.resource_class
           AND ${stateIs(isFinal)} AND NOT cached AND started_at IS NOT NULL AND ended_at IS NOT NULL
         ORDER BY ended_at DESC LIMIT 20
       ) AS last
     ) AS took
     WHERE took.seconds IS NOT NULL`,
    [
      project,
      JSON.stringify(stages.map(({ name, kind, resource_class }) => ({ name, kind, resource_class }))),
    ],
  )
  return rows
}
