import { keepPreviousData, type UseQueryResult, useQueries, useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { api } from '../api.ts'
import type { Points } from '../charts/curves/types.ts'
import type { StepWindow } from '../charts/curves/window.ts'
import { type Grid, toGrid } from '../charts/heat-map/grid.ts'

export const useSeries = (run: string) =>
  useQuery({ queryKey: ['series', run], queryFn: () => api.series(run) })

/** Zooming asks again; what was there stays in view until the answer comes. */
export function useScalars(
  stage: string | undefined,
  names: readonly string[],
  window: StepWindow | null,
): UseQueryResult<Points>[] {
  return useQueries({
    queries: names.map((name) => ({
      queryKey: ['metrics', stage, name, window?.from ?? null, window?.to ?? null],
      queryFn: () => api.scalars(stage ?? '', name, window),
      enabled: stage !== undefined,
      placeholderData: keepPreviousData,
    })),
  })
}

export interface Grids {
  /** By name; absent while it loads or where there is none. */
  grids: ReadonlyMap<string, Grid>
  error: Error | null
  loading: boolean
}

/** Statistics over t of a stage. A grid stays the same object while its rows do. */
export function useGrids(stage: string | undefined, names: readonly string[]): Grids {
  const found = useQueries({
    queries: names.map((name) => ({
      queryKey: ['metrics', stage, name, 'rows'],
      queryFn: () => api.arrays(stage ?? '', name),
      enabled: stage !== undefined,
    })),
  })
  const rows = found.map(({ data }) => data?.rows)
  // biome-ignore lint/correctness/useExhaustiveDependencies: the rows are the dependencies, however many there are
  const grids = useMemo(() => {
    const made = new Map<string, Grid>()
    for (const [index, name] of names.entries()) {
      const own = rows[index]
      if (own !== undefined) made.set(name, toGrid(own))
    }
    return made
  }, [stage, names.join('\n'), ...rows])
  return {
    grids,
    error: found.find(({ error }) => error !== null)?.error ?? null,
    loading: found.some(({ isPending, fetchStatus }) => isPending && fetchStatus !== 'idle'),
  }
}
