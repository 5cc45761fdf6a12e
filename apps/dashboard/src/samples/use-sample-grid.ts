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

/**
 * Columns of a run with the sheet of the chosen evaluation of each, and their common rows.
 * @param chosen index of a version by column key; without one, the newest
 */
export function useSampleGrid(
  run: RunView,
  chosen: Readonly<Record<string, number>>,
): { columns: LoadedColumn[]; rows: SampleRow[] } {
  const placed = useMemo(() => sampleColumns(run), [run]).flatMap((column) => {
    const version =
      column.versions[chosen[column.key] ?? column.versions.length - 1] ?? column.versions.at(-1)
    return version === undefined ? [] : [{ ...column, version }]
  })
  const found = useQueries({
    queries: placed.map(({ version, steps }) => ({
      ...sheetQuery(version.artifact ?? '', sheetFolder(steps)),
      enabled: version.artifact !== null,
    })),
  })
  const columns = placed.map((column, index): LoadedColumn => {
    const { data, error, isFetching } = found[index] ?? {}
    const { artifact, stage, evaluation } = column.version
    const foreign = data ? foreignVerdicts(data.sheet, evaluation.verdicts) : 0
    return {
      ...column,
      // Pictures of another evaluation under this title would be worse than none.
      loaded: foreign > 0 ? null : (data ?? null),
      loading: isFetching === true && data === undefined,
      problem:
        artifact === null
          ? `${stage} has no stored pictures`
          : error
            ? `sheet missing: ${error.message}`
            : foreign > 0
              ? `the sheet is another evaluation's: ${foreign} verdicts differ`
              : (data?.problem ?? null),
    }
  })
  const sheets = columns.map(({ loaded }) => loaded?.sheet ?? null)
  // biome-ignore lint/correctness/useExhaustiveDependencies: the sheets are the dependencies, however many there are
  const rows = useMemo(() => alignedRows(sheets), [sheets.length, ...sheets])
  return { columns, rows }
}
