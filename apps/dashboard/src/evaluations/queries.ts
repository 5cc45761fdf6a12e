import {
  EvaluationView,
  PreferenceNext,
  PreferenceResult,
  PublishedList,
  RunView,
  type VoteCreate,
  VoteView,
} from '@limbeck/contracts'
import { keepPreviousData, useQueries, useQuery } from '@tanstack/react-query'
import { z } from 'zod'
import { queryText, request } from '../api.ts'

/** The API answers at most this many here, newest first. */
export const NEWEST = 200

/** As the contract has it, with verdicts checked in one pass: 200 evaluations have 72,000 of them, and more. */
const Evaluations = z.strictObject({
  evaluations: z.array(
    EvaluationView.extend({
      verdicts: z.custom<boolean[]>(
        (value) => Array.isArray(value) && value.every((verdict) => typeof verdict === 'boolean'),
        'must be true or false for each picture',
      ),
    }),
  ),
})

export const useEvaluations = (run?: string) =>
  useQuery({
    queryKey: ['evaluations', run ?? 'all'],
    queryFn: () => request(`/v1/evaluations${queryText({ run, limit: NEWEST })}`, Evaluations),
  })

export const usePublished = () =>
  useQuery({
    queryKey: ['published'],
    queryFn: () => request('/v1/evaluations/published', PublishedList),
    staleTime: Number.POSITIVE_INFINITY,
  })

export interface Artifacts {
  /** Output by stage id; null for a stage without one. Absent while its run loads. */
  byStage: ReadonlyMap<string, string | null>
  error: Error | null
}

/** Where the pictures of evaluations are: the outputs of their stages, by their runs. */
export function useArtifacts(evaluations: readonly Pick<EvaluationView, 'run'>[]): Artifacts {
  const runs = [...new Set(evaluations.map(({ run }) => run))]
  const found = useQueries({
    queries: runs.map((run) => ({
      queryKey: ['run', run],
      queryFn: () => request(`/v1/runs/${run}`, RunView),
    })),
  })
  return {
    byStage: new Map(found.flatMap(({ data }) => data?.stages.map(({ id, output }) => [id, output]) ?? [])),
    error: found.find(({ error }) => error !== null)?.error ?? null,
  }
}

export const nextPair = (evaluations: string) =>
  request(`/v1/preferences/next${queryText({ evaluations })}`, PreferenceNext)

export const sendVote = (vote: z.input<typeof VoteCreate>) =>
  request('/v1/preferences/votes', VoteView, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(vote),
  })

/** @param voted the caller's votes: with one more the strengths are others */
export const usePreferences = (evaluations: string, voted: number) =>
  useQuery({
    queryKey: ['preferences', evaluations, voted],
    queryFn: () => request(`/v1/preferences${queryText({ evaluations })}`, PreferenceResult),
    placeholderData: keepPreviousData,
  })
