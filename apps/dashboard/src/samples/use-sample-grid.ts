import type { RunView } from '@limbeck/contracts'
import { useQueries } from '@tanstack/react-query'
import { useMemo } from 'react'
import { alignedRows, type SampleRow } from './alignment.ts'
import { type SampleColumn, type SampleVersion, sampleColumns } from './columns.ts'
import { type LoadedSheet, sheetFolder, sheetQuery } from './queries.ts'
import { foreignVerdicts } from './sheet.ts'

export interface LoadedColumn extends SampleColumn {
  version: SampleVersion
  loaded: LoadedSheet | null
  /** Why there is no sheet, or what is wrong with it; null where all is well. */
  problem: string | null
  loading: boolean
}

interface Found {
  data: LoadedSheet | undefined
  error: Error | null
  loading: boolean
}

/**
 * Columns of a run with the sheet of the chosen evaluation of each, and their common rows. Both stay the same objects
 * while nothing of them changes.
 * @param chosen index of a version by column key; without one, the newest
 */
export function useSampleGrid(
  run: RunView,
  chosen: Readonly<Record<string, number>>,
): { columns: LoadedColumn[]; rows: SampleRow[] } {
  const placed = useMemo(
    () =>
      sampleColumns(run).flatMap((column) => {
        const version =
          column.versions[chosen[column.key] ?? column.versions.length - 1] ?? column.versions.at(-1)
        return version === undefined ? [] : [{ ...column, version }]
      }),
    [run, chosen],
  )
  const found = useQueries({
    queries: placed.map(({ version, steps }) => ({
      ...sheetQuery(version.artifact ?? '', sheetFolder(steps)),
      enabled: version.artifact !== null,
    })),
  })
  const news = found.flatMap(({ data, error, isFetching }) => [data, error, isFetching])
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is read of the queries is among them, however many there are
  const columns = useMemo(
    () =>
      placed.map((column, index): LoadedColumn => {
        const { data, error = null, isFetching = false } = found[index] ?? {}
        return { ...column, ...judged(column.version, { data, error, loading: isFetching }) }
      }),
    [placed, news.length, ...news],
  )
  const sheets = columns.map(({ loaded }) => loaded?.sheet ?? null)
  // biome-ignore lint/correctness/useExhaustiveDependencies: the sheets are the dependencies, however many there are
  const rows = useMemo(() => alignedRows(sheets), [sheets.length, ...sheets])
  return { columns, rows }
}

/** Pictures of another evaluation under a column's title would be worse than none. */
function judged(
  { artifact, stage, evaluation }: SampleVersion,
  { data, error, loading }: Found,
): Pick<LoadedColumn, 'loaded' | 'problem' | 'loading'> {
  const none = (problem: string | null, pending = false) => ({ loaded: null, problem, loading: pending })
  if (artifact === null) return none(`${stage} has no stored pictures`)
  if (data === undefined)
    return loading ? none(null, true) : none(error === null ? null : `sheet missing: ${error.message}`)
  const foreign = foreignVerdicts(data.sheet, evaluation.verdicts)
  return foreign > 0
    ? none(`the sheet is another evaluation's: ${foreign} verdicts differ`)
    : { loaded: data, problem: data.problem, loading: false }
}
