import type { Digest, EvaluationId, EvaluationResult, VoteId } from '@limbeck/contracts'
import type { Queryable } from '../transaction.ts'

export interface CandidateRow {
  id: EvaluationId
  body: EvaluationResult
  output: Digest | null
}

/** Evaluations of the project by id, with the output that holds their pictures. Index: primary keys. */
export async function selectCandidates(
  db: Queryable,
  project: string,
  ids: readonly string[],
): Promise<CandidateRow[]> {
  const { rows } = await db.query<CandidateRow>(
    `SELECT evaluation.id, body, output_digest AS output FROM evaluation JOIN stage ON stage.id = stage_id
     WHERE evaluation.project = $1 AND evaluation.id = ANY ($2::text[]) ORDER BY evaluation.id`,
    [project, ids],
  )
  return rows
}

export interface VoteCountRow {
  first_evaluation: string
  second_evaluation: string
  place: number
  votes: number
  mine: boolean
}

/** Votes by pair and place among these evaluations, and whether `voter` is among them. Index: the unique one. */
export async function countVotes(
  db: Queryable,
  project: string,
  ids: readonly string[],
  voter: string,
): Promise<VoteCountRow[]> {
  const { rows } = await db.query<VoteCountRow>(
    `SELECT first_evaluation, second_evaluation, place, count(*)::int AS votes, bool_or(voter = $3) AS mine
     FROM preference_vote
     WHERE project = $1 AND first_evaluation = ANY ($2::text[]) AND second_evaluation = ANY ($2::text[])
     GROUP BY 1, 2, 3`,
    [project, ids, voter],
  )
  return rows
}

export interface ChoiceRow {
  first_evaluation: string
  second_evaluation: string
  choice: 'first' | 'second' | 'tie'
  votes: number
}

/** Votes by pair and choice. Index: the unique one. */
export async function tallyVotes(
  db: Queryable,
  project: string,
  ids: readonly string[],
): Promise<{ choices: ChoiceRow[]; voters: number }> {
  const where = `project = $1 AND first_evaluation = ANY ($2::text[]) AND second_evaluation = ANY ($2::text[])`
  const { rows } = await db.query<ChoiceRow>(
    `SELECT first_evaluation, second_evaluation, choice, count(*)::int AS votes FROM preference_vote
     WHERE ${where} GROUP BY 1, 2, 3`,
    [project, ids],
  )
  const voters = await db.query<{ voters: number }>(
    `SELECT count(DISTINCT voter)::int AS voters FROM preference_vote WHERE ${where}`,
    [project, ids],
  )
  return { choices: rows, voters: voters.rows[0]?.voters ?? 0 }
}

/** Null where this voter has voted on this picture before. */
export async function insertVote(
  db: Queryable,
  vote: {
    id: VoteId
    project: string
    voter: string
    first: string
    second: string
    place: number
    choice: ChoiceRow['choice']
  },
): Promise<Date | null> {
  const { rows } = await db.query<{ created_at: Date }>(
    `INSERT INTO preference_vote (id, project, voter, first_evaluation, second_evaluation, place, choice)
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING created_at`,
    [vote.id, vote.project, vote.voter, vote.first, vote.second, vote.place, vote.choice],
  )
  return rows[0]?.created_at ?? null
}
