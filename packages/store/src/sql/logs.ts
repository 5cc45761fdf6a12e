import type { LogLine } from '@limbeck/contracts'
import type { z } from 'zod'
import { only, type Queryable } from '../transaction.ts'

type Line = z.infer<typeof LogLine>

/** Numbers without gaps: the counter's row lock orders the batches of a stage. Postgres text takes no NUL. */
export async function insertLogLines(
  tx: Queryable,
  stage: string,
  epoch: number,
  lines: readonly Line[],
): Promise<void> {
  if (lines.length === 0) return
  const { rows } = await tx.query<{ first: number }>(
    `INSERT INTO log_counter AS stored (stage_id, lines) VALUES ($1, $2)
     ON CONFLICT (stage_id) DO UPDATE SET lines = stored.lines + excluded.lines
     RETURNING lines - $2 AS first`,
    [stage, lines.length],
  )
  await tx.query(
    `INSERT INTO log_line (stage_id, number, epoch, time, stream, text)
     SELECT $1, $2::int + position::int - 1, $3, time, stream, text
     FROM unnest($4::timestamptz[], $5::text[], $6::text[]) WITH ORDINALITY AS new (time, stream, text, position)`,
    [
      stage,
      only(rows).first,
      epoch,
      lines.map((line) => line.time),
      lines.map((line) => line.stream),
      lines.map((line) => line.text.replaceAll('\0', '\u2400')),
    ],
  )
}

/** Index: primary key. */
export async function selectLogLines(
  db: Queryable,
  stage: string,
  from: number,
  limit: number,
): Promise<(Line & { epoch: number; number: number })[]> {
  const { rows } = await db.query<Line & { epoch: number; number: number }>(
    `SELECT number, epoch, stream, text,
       to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS time
     FROM log_line WHERE stage_id = $1 AND number >= $2 ORDER BY number LIMIT $3`,
    [stage, from, limit],
  )
  return rows
}
