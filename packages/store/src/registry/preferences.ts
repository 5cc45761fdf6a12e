import type {
  EvaluationProtocol,
  PreferenceNext,
  PreferencePair,
  PreferenceResult,
  VoteCreate,
  VoteView,
} from '@limbeck/contracts'
import { bradleyTerry, canonicalJson, ok, startOf, swapped } from '@limbeck/core'
import type { z } from 'zod'
import { failure, notFound, type StoreResult } from '../failure.ts'
import { newId } from '../ids.ts'
import { iso } from '../rows.ts'
import {
  type CandidateRow,
  countVotes,
  insertVote,
  selectCandidates,
  tallyVotes,
} from '../sql/preferences.ts'
import type { Store } from '../store.ts'

type Pair = readonly [CandidateRow, CandidateRow]

/** The pair of a voter with the fewest votes that they have not seen. Failures: not_found, conflict. */
export async function nextPair(
  store: Store,
  project: string,
  voter: string,
  evaluations: readonly string[],
): StoreResult<z.infer<typeof PreferenceNext>> {
  const found = await candidates(store, project, evaluations)
  if (!found.ok) return found
  const pairs = pairsOf(found.value)
  const places = found.value[0]?.body.verdicts.length ?? 0
  const counts = await countVotes(store.pool, project, evaluations, voter)
  const counted = new Map(
    counts.map((row) => [`${row.first_evaluation} ${row.second_evaluation} ${row.place}`, row]),
  )
  const total = pairs.length * places
  const start = startOf(voter, total)
  let best: { pair: Pair; place: number; votes: number } | null = null
  for (let seen = 0; seen < total && best?.votes !== 0; seen++) {
    const index = (start + seen) % total
    const pair = pairs[Math.floor(index / places)] as Pair
    const place = index % places
    const row = counted.get(`${idsOf(pair).join(' ')} ${place}`)
    if (!row?.mine && (row?.votes ?? 0) < (best?.votes ?? Infinity))
      best = { pair, place, votes: row?.votes ?? 0 }
  }
  return ok({
    pair: best && pairView(voter, best.pair, best.place),
    voted: counts.filter(({ mine }) => mine).length,
    pairs: total,
  })
}

/** Failures: not_found, conflict (other questions, no such place, voted before). */
export async function vote(
  store: Store,
  project: string,
  voter: string,
  { evaluations, place, choice }: z.infer<typeof VoteCreate>,
): StoreResult<z.infer<typeof VoteView>> {
  const found = await candidates(store, project, evaluations)
  if (!found.ok) return found
  const [pair] = pairsOf(found.value)
  const places = found.value[0]?.body.verdicts.length ?? 0
  if (pair === undefined || place >= places)
    return failure('conflict', `place is ${place}; the evaluations have ${places} pictures, from 0`)
  const ids = idsOf(pair)
  const first = (choice === 'left') !== swapped(voter, ids, place)
  const id = newId('vot')
  const created_at = await insertVote(store.pool, {
    id,
    project,
    voter,
    first: ids[0],
    second: ids[1],
    place,
    choice: choice === 'tie' ? 'tie' : first ? 'first' : 'second',
  })
  return created_at === null
    ? failure('conflict', `this voter has voted on picture ${place} of these two evaluations`)
    : ok({ id, created_at: iso(created_at) })
}

/** Strengths of the evaluations from all votes on pairs of them. Failures: not_found, conflict. */
export async function preferences(
  store: Store,
  project: string,
  evaluations: readonly string[],
): StoreResult<z.infer<typeof PreferenceResult>> {
  const found = await candidates(store, project, evaluations)
  if (!found.ok) return found
  const ids = found.value.map(({ id }) => id as string)
  const { choices, voters } = await tallyVotes(store.pool, project, ids)
  const table = (
    of: (first: number, second: number, row: (typeof choices)[number]) => [number, number, number],
  ) => {
    const empty = ids.map(() => ids.map(() => 0))
    for (const row of choices) {
      const [i, j, votes] = of(ids.indexOf(row.first_evaluation), ids.indexOf(row.second_evaluation), row)
      const line = empty[i]
      if (line) line[j] = (line[j] ?? 0) + votes
    }
    return empty
  }
  const wins = table((first, second, { choice, votes }) =>
    choice === 'second' ? [second, first, votes] : [first, second, choice === 'first' ? votes : 0],
  )
  const tied = table((first, second, { choice, votes }) => [first, second, choice === 'tie' ? votes : 0])
  const ties = tied.map((line, i) => line.map((value, j) => value + (tied[j]?.[i] ?? 0)))
  const strengths = bradleyTerry({ wins, ties })
  const total = (line: readonly number[] | undefined): number => (line ?? []).reduce((sum, x) => sum + x, 0)
  return ok({
    votes: choices.reduce((sum, { votes }) => sum + votes, 0),
    voters,
    connected: strengths !== null,
    models: found.value.map(({ id, body }, i) => ({
      evaluation: id,
      role: body.role,
      wins: total(wins[i]),
      losses: total(wins.map((line) => line[i] ?? 0)),
      ties: total(ties[i]),
      strength: strengths?.[i]?.value ?? null,
      interval: strengths?.[i] ? [...strengths[i].interval] : null,
    })),
  })
}

/** Sorted by id; all drawn from the same prompts and noise, else a vote would compare prompts. */
async function candidates(
  store: Store,
  project: string,
  evaluations: readonly string[],
): StoreResult<CandidateRow[]> {
  const rows = await selectCandidates(store.pool, project, evaluations)
  const missing = evaluations.find((id) => !rows.some((row) => row.id === id))
  if (missing !== undefined) return notFound('evaluation', missing)
  const asked = new Set(rows.map(({ body }) => canonicalJson(questionsOf(body.protocol))))
  if (asked.size > 1)
    return failure(
      'conflict',
      `the evaluations were asked ${asked.size} different sets of prompts; a pair is two pictures of one`,
    )
  if (rows.some(({ output }) => output === null))
    return failure('conflict', 'an evaluation has no stored pictures')
  return ok(rows)
}

const questionsOf = (protocol: z.infer<typeof EvaluationProtocol>) => {
  const { benchmark, prompts_per_tag, held_out_per_tag, images_per_prompt, seed } = protocol
  return { benchmark, prompts_per_tag, held_out_per_tag, images_per_prompt, seed }
}

const pairsOf = (rows: readonly CandidateRow[]): Pair[] =>
  rows.flatMap((first, i) => rows.slice(i + 1).map((second): Pair => [first, second]))

const idsOf = ([first, second]: Pair) => [first.id, second.id] as const

function pairView(voter: string, pair: Pair, place: number): z.infer<typeof PreferencePair> {
  const side = ({ output, body }: CandidateRow) => ({
    artifact: output as string,
    path: `steps-${body.protocol.steps}/sheet.png`,
    tile: place,
  })
  const [left, right] = swapped(voter, idsOf(pair), place) ? [pair[1], pair[0]] : pair
  return { evaluations: [...idsOf(pair)], place, left: side(left), right: side(right) }
}
