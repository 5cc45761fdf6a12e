import {
  ArrayPoints,
  EvaluationList,
  LogPage,
  ModelVersionList,
  Problem,
  PromotionList,
  PublishedList,
  QueueList,
  RunList,
  RunView,
  SeriesList,
  SeriesPoints,
  WorkerList,
} from '@limbeck/contracts'
import type { z } from 'zod'

/** What the API answered instead of data; `code` is stable (docs/api.md). */
export class ApiError extends Error {
  override name = 'ApiError'
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

export async function request<S extends z.ZodType>(
  path: string,
  schema: S,
  init: RequestInit = {},
): Promise<z.output<S>> {
  let response: Response
  try {
    response = await fetch(path, {
      ...init,
      credentials: 'same-origin',
      signal: init.signal ?? AbortSignal.timeout(20_000),
    })
  } catch {
    throw new ApiError('unreachable', 'The API does not answer. What you see may be out of date.')
  }
  const body: unknown = await response.json().catch(() => null)
  if (!response.ok) {
    const problem = Problem.safeParse(body)
    if (problem.success) throw new ApiError(problem.data.code, problem.data.detail || problem.data.title)
    throw new ApiError('internal', `Status ${response.status}`)
  }
  return schema.parse(body)
}

export const queryText = (values: Record<string, string | number | undefined>): string => {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== '')
  return given.length === 0
    ? ''
    : `?${new URLSearchParams(given.map(([key, value]) => [key, String(value)]))}`
}

interface Steps {
  from: number
  to: number
}

export const api = {
  runs: (filter: {
    state?: string | undefined
    recipe?: string | undefined
    text?: string | undefined
    cursor?: string | undefined
    limit?: number | undefined
  }) => request(`/v1/runs${queryText(filter)}`, RunList),
  run: (run: string) => request(`/v1/runs/${run}`, RunView),
  series: (run: string) => request(`/v1/runs/${run}/series`, SeriesList),
  /** The whole series, or the steps of a window, in at most as many buckets as a chart can show. */
  scalars: (stage: string, name: string, window: Steps | null = null) =>
    request(
      `/v1/metrics/scalars${queryText({ stage, name, max_points: 1200, from_step: window?.from, to_step: window?.to })}`,
      SeriesPoints,
    ),
  arrays: (stage: string, name: string, window: Steps | null = null) =>
    request(
      `/v1/metrics/arrays${queryText({ stage, name, from_step: window?.from, to_step: window?.to })}`,
      ArrayPoints,
    ),
  logs: (stage: string, from: number) =>
    request(`/v1/stages/${stage}/logs${queryText({ from, limit: 2000 })}`, LogPage),
  evaluations: (run?: string) => request(`/v1/evaluations${queryText({ run })}`, EvaluationList),
  published: () => request('/v1/evaluations/published', PublishedList),
  models: () => request('/v1/models', ModelVersionList),
  promotions: () => request('/v1/promotions', PromotionList),
  workers: () => request('/v1/workers', WorkerList),
  queues: () => request('/v1/queues', QueueList),
  cancel: (run: string) => request(`/v1/runs/${run}/cancel`, RunView, json({})),
  retry: (run: string) => request(`/v1/runs/${run}/retry`, RunView, json({})),
  /** The one-time code of the printed address becomes a cookie. */
  signIn: async (code: string): Promise<void> => {
    const response = await fetch('/v1/sessions', {
      ...json({ code }),
      credentials: 'same-origin',
      signal: AbortSignal.timeout(20_000),
    })
    if (!response.ok)
      throw new ApiError(
        'unauthenticated',
        'This address was used already or is too old. Print a new one with ./limbeck up.',
      )
  },
}

const json = (body: unknown): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
})
