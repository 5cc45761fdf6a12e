import type { RunView } from '@limbeck/contracts'
import { Group, Select, Stack, Text, TextInput } from '@mantine/core'
import { useViewportSize } from '@mantine/hooks'
import { useCallback, useMemo, useRef, useState } from 'react'
import { filteredRows, type SampleRow, tagsOf } from './alignment.ts'
import { withoutResult } from './columns.ts'
import classes from './samples.module.css'
import { SamplesGrid } from './samples-grid.tsx'
import { SamplesZoom } from './samples-zoom.tsx'
import type { SamplesSearch } from './search.ts'
import { wholeEdge } from './sheet.ts'
import { TrainingSliders } from './training-sliders.tsx'
import { useSampleGrid } from './use-sample-grid.ts'
import { type Cell, zoomedCell, zoomText } from './zoom.ts'

/** CSS pixels of a picture in the grid: two columns beside the prompt on a phone. */
const EDGE = { narrow: 96, wide: 128 }
const NARROW = 600

/** What a run's models draw for the same prompts from the same noise, side by side. */
export function SamplesView({
  run,
  search,
  onSearch,
}: {
  run: RunView
  search: SamplesSearch
  onSearch: (change: Partial<SamplesSearch>) => void
}) {
  const [chosen, setChosen] = useState<Readonly<Record<string, number>>>({})
  const { columns, rows } = useSampleGrid(run, chosen)
  const { width } = useViewportSize()
  const shown = useMemo(
    () => filteredRows(rows, search.prompt ?? '', search.tag),
    [rows, search.prompt, search.tag],
  )
  const waiting = withoutResult(run)
  const [tileWidth, tileHeight] = columns.find(({ loaded }) => loaded !== null)?.loaded?.sheet.tile ?? [
    64, 64,
  ]
  const edge = wholeEdge(tileWidth, width < NARROW ? EDGE.narrow : EDGE.wide)
  const zoomed = zoomedCell(
    search.zoom,
    shown.map(({ key }) => key),
    columns.map(({ key }) => key),
  )
  const latest = useRef(onSearch)
  latest.current = onSearch
  // The same function while the grid is the same: moving in the zoom does not draw what lies behind it.
  const open = useCallback(
    ({ row, column }: Cell) => {
      const [rowKey, columnKey] = [shown[row]?.key, columns[column]?.key]
      if (rowKey !== undefined && columnKey !== undefined)
        latest.current({ zoom: zoomText(rowKey, columnKey) })
    },
    [shown, columns],
  )
  const missing =
    waiting.length === 0
      ? null
      : `Without pictures: ${waiting.map(({ name, state }) => `${name} (${state})`).join(', ')}.`

  if (columns.length === 0)
    return (
      <Text className={classes.note} p="md">
        {missing ?? 'This run evaluates nothing: it has no stage of kind evaluate.'}
      </Text>
    )
  return (
    <Stack gap="sm">
      <Filters search={search} onSearch={onSearch} rows={rows} shown={shown.length} />
      {missing !== null && <Text className={classes.note}>{missing}</Text>}
      <TrainingSliders
        columns={columns}
        chosen={chosen}
        onChoose={(key, version) => setChosen((before) => ({ ...before, [key]: version }))}
      />
      {rows.length > 0 && shown.length === 0 && (
        <Text p="md" role="status">
          No prompt fits the filter.
        </Text>
      )}
      {(shown.length > 0 || rows.length === 0) && (
        <SamplesGrid
          rows={shown}
          all={rows}
          columns={columns}
          edge={edge}
          height={Math.round((edge * tileHeight) / tileWidth)}
          onOpen={open}
        />
      )}
      <SamplesZoom
        rows={shown}
        columns={columns}
        cell={zoomed}
        onMove={open}
        onClose={() => onSearch({ zoom: undefined })}
      />
    </Stack>
  )
}

function Filters({
  search,
  onSearch,
  rows,
  shown,
}: {
  search: SamplesSearch
  onSearch: (change: Partial<SamplesSearch>) => void
  rows: readonly SampleRow[]
  shown: number
}) {
  return (
    <Group gap="sm" align="end">
      <TextInput
        label="Prompt"
        placeholder="part of it"
        data-shortcut="search"
        value={search.prompt ?? ''}
        onChange={(event) => onSearch({ prompt: event.currentTarget.value || undefined, zoom: undefined })}
      />
      <Select
        label="Task"
        placeholder="all"
        clearable
        clearButtonProps={{ 'aria-label': 'All tasks' }}
        data={tagsOf(rows)}
        value={search.tag ?? null}
        onChange={(tag) => onSearch({ tag: tag ?? undefined, zoom: undefined })}
      />
      <Text className={classes.note} role="status">
        {shown} of {rows.length} prompts · <span aria-hidden="true">✓</span> the scorer calls it correct,{' '}
        <span aria-hidden="true">✗</span> wrong · same noise in a row
      </Text>
    </Group>
  )
}
