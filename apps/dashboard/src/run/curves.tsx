import type { StageView } from '@limbeck/contracts'
import { Button, Card, Group, MultiSelect, NumberInput, Select, Stack, Text } from '@mantine/core'
import { useMemo, useState } from 'react'
import type { ScaleKind } from '../charts/curves/axis-scale.ts'
import { CurveChart } from '../charts/curves/curve-chart.tsx'
import { Lazy } from '../charts/curves/lazy.tsx'
import type { ChartStatus } from '../charts/curves/types.ts'
import { parseWindow, printWindow, type StepWindow } from '../charts/curves/window.ts'
import { useScalars, useSeries } from './queries.ts'
import type { PageState } from './search.ts'

const CHART_HEIGHT = 300

/** Any scalar series of a stage; series of one group ("loss/...") share a chart. */
export function Curves({
  run,
  stage,
  search,
  onSearch,
  only,
}: PageState & { run: string; stage: StageView; only?: ((name: string) => boolean) | undefined }) {
  const query = useSeries(run)
  const own = useMemo(
    () =>
      query.data?.series.filter(
        ({ stage: of, kind, name }) => of === stage.id && kind === 'scalar' && (only?.(name) ?? true),
      ) ?? [],
    [query.data, stage.id, only],
  )
  const names = own.map(({ name }) => name)
  const wanted = search.series?.split(',').filter((name) => names.includes(name))
  const shown = wanted && wanted.length > 0 ? wanted : names.filter((name) => only || isTelling(name))
  const groups = Map.groupBy(shown, (name) => name.split('/')[0] ?? name)
  const [cursor, setCursor] = useState<number | null>(null)
  const lastStep = own.reduce((last, one) => Math.max(last, one.last_step), 0)

  if (names.length === 0)
    return (
      <Text c="dimmed" p="md">
        {query.isPending
          ? 'Loading…'
          : `The stage ${stage.name} has logged no series${only ? ' of this kind' : ''}.`}
      </Text>
    )
  return (
    <Stack gap="md">
      <Group align="end" gap="sm">
        <MultiSelect
          label="Series"
          data={names}
          value={shown}
          onChange={(series) => onSearch({ series: series.join(',') || undefined })}
          searchable
          clearable
          flex={1}
          miw={260}
          data-shortcut="search"
        />
        <Select
          label="Y scale"
          data={[
            { value: 'linear', label: 'linear' },
            { value: 'log2', label: 'log 2' },
            { value: 'log10', label: 'log 10' },
            { value: 'symlog', label: 'symlog' },
          ]}
          value={search.scale ?? 'linear'}
          onChange={(scale) => onSearch({ scale: (scale ?? undefined) as ScaleKind | undefined })}
          allowDeselect={false}
          w={110}
        />
        <NumberInput
          label="Half-life, steps"
          value={search.smooth ?? 0}
          onChange={(value) => onSearch({ smooth: Number(value) || undefined })}
          min={0}
          max={1_000_000}
          step={50}
          w={130}
        />
        <Button
          variant="default"
          disabled={search.steps === undefined}
          title={search.steps === undefined ? 'All steps are in view' : 'Show all steps (z)'}
          onClick={() => onSearch({ steps: undefined })}
        >
          All steps
        </Button>
      </Group>
      {[...groups].map(([group, members]) => (
        <Card key={group} withBorder padding="sm">
          <Lazy height={CHART_HEIGHT} label={group}>
            <Chart
              title={group}
              stage={stage.id}
              names={members}
              window={parseWindow(search.steps)}
              lastStep={lastStep}
              scale={search.scale ?? 'linear'}
              smoothing={search.smooth ?? 0}
              cursor={cursor}
              onCursor={setCursor}
              onWindow={(window) => onSearch({ steps: printWindow(window) })}
            />
          </Lazy>
        </Card>
      ))}
    </Stack>
  )
}

/** Shown before anybody chooses. */
const isTelling = (name: string): boolean =>
  /^(loss|validation|discriminator\/accuracy|rate|gradient_norm)/.test(name)

function Chart({
  stage,
  names,
  lastStep,
  ...chart
}: {
  title: string
  stage: string
  names: readonly string[]
  window: StepWindow | null
  lastStep: number
  scale: ScaleKind
  smoothing: number
  cursor: number | null
  onCursor: (step: number | null) => void
  onWindow: (window: StepWindow | null) => void
}) {
  const queries = useScalars(stage, names, chart.window)
  const series = queries.flatMap(({ data }) =>
    data === undefined ? [] : [{ key: data.name, label: data.name, points: data }],
  )
  const failed = queries.filter(({ error }) => error !== null)
  const status: ChartStatus =
    failed.length > 0
      ? series.length > 0
        ? { kind: 'partial', message: failed[0]?.error?.message ?? '' }
        : { kind: 'error', message: failed[0]?.error?.message ?? '' }
      : queries.some(({ isFetching, isPlaceholderData, data }) => isFetching && (isPlaceholderData || !data))
        ? { kind: 'loading' }
        : { kind: 'ready' }
  return (
    <CurveChart {...chart} series={series} extent={{ from: 0, to: lastStep }} status={status} height={200} />
  )
}
