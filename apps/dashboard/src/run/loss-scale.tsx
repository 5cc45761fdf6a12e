import type { StageView } from '@limbeck/contracts'
import {
  Alert,
  Card,
  Grid as Columns,
  Group,
  List,
  ScrollArea,
  Select,
  Stack,
  Text,
  Title,
} from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import { api } from '../api.ts'
import { CurveChart } from '../charts/curves/curve-chart.tsx'
import { Lazy } from '../charts/curves/lazy.tsx'
import { parseWindow, printWindow } from '../charts/curves/window.ts'
import { difference } from '../charts/heat-map/grid.ts'
import { HeatMap } from '../charts/heat-map/heat-map.tsx'
import { LeadChart } from '../charts/heat-map/lead-chart.tsx'
import type { Statistic } from '../charts/heat-map/profile.ts'
import { ProfileChart, RowChart } from '../charts/heat-map/profile-chart.tsx'
import type { HeatMark } from '../charts/heat-map/types.ts'
import { guardMarks } from './guards.ts'
import { useGrids, useScalars, useSeries } from './queries.ts'
import type { PageState } from './search.ts'
import { combined, GAP, sourcesOf, statisticNames, textOf } from './statistics.ts'

const PROFILES = [
  'validation/task_by_t',
  'validation/teacher_task_by_t',
  'validation/output_kd_by_t',
  'validation/feature_kd_by_t',
] as const
const WEIGHTS = [
  'scaling/weight_task_by_t',
  'scaling/weight_output_by_t',
  'scaling/weight_feature_by_t',
] as const
const WORSE = 'validation/teacher_worse_by_t'
const COMPARED_RUNS = 50

/** A loss term has one colour in the curves, the profile and the weights. */
const COLOUR_KEYS: Readonly<Record<string, string>> = {
  'validation/task_by_t': 'loss/task',
  'validation/output_kd_by_t': 'loss/output_kd',
  'validation/feature_kd_by_t': 'loss/feature_kd',
  'scaling/weight_task_by_t': 'loss/task',
  'scaling/weight_output_by_t': 'loss/output_kd',
  'scaling/weight_feature_by_t': 'loss/feature_kd',
}

/** Where in t the student disagrees with the teacher, which term leads where, and what the guards saw. */
export function LossScale({
  run,
  recipe,
  stage,
  search,
  onSearch,
}: PageState & { run: string; recipe: string; stage: StageView }) {
  const series = useSeries(run)
  const own = useMemo(
    () => series.data?.series.filter((one) => one.stage === stage.id) ?? [],
    [series.data, stage.id],
  )
  const arrays = useMemo(() => own.filter(({ kind }) => kind === 'array').map(({ name }) => name), [own])
  const scalars = own.filter(({ kind }) => kind === 'scalar').map(({ name }) => name)
  const names = statisticNames(arrays)
  const chosen = search.stat !== undefined && names.includes(search.stat) ? search.stat : names[0]
  const needed = useMemo(
    () => [
      ...new Set([
        ...(chosen === undefined ? [] : sourcesOf(chosen)),
        ...[...PROFILES, ...WEIGHTS, WORSE].filter((name) => arrays.includes(name)),
      ]),
    ],
    [chosen, arrays],
  )
  const { grids, error, loading } = useGrids(stage.id, needed)
  const against = useCompared(search.against, stage.name, chosen)
  const window = parseWindow(search.steps)
  const losses = scalars.filter((name) => name.startsWith('loss/'))
  const curves = useScalars(stage.id, losses, window)
  const clamped = useScalars(
    stage.id,
    scalars.filter((name) => name.startsWith('scaling/clamped')),
    null,
  )
  const [cursor, setCursor] = useState<number | null>(null)
  const [robust, setRobust] = useState(false)

  const points = curves.flatMap(({ data }) => data ?? [])
  const marks = guardMarks(
    stage,
    grids.get(WORSE) ?? null,
    points,
    clamped.flatMap(({ data }) => data ?? []),
  )
  const mine = useMemo(
    () =>
      chosen === undefined
        ? null
        : combined(
            chosen,
            sourcesOf(chosen).flatMap((name) => grids.get(name) ?? []),
          ),
    [chosen, grids],
  )
  const shown = useMemo(
    () => (mine === null || against.grid === null ? mine : difference(mine, against.grid)),
    [mine, against.grid],
  )
  if (chosen === undefined)
    return (
      <Text c="dimmed" p="md">
        {series.isPending
          ? 'Loading…'
          : `The stage ${stage.name} has logged no statistics over t. Distillation and pretraining log them at every validation.`}
      </Text>
    )
  const text = textOf(chosen)
  const last = mine?.steps.at(-1) ?? null
  const step = search.step ?? last
  const compared = against.grid !== null && shown !== null
  const statistic = (name: string): Statistic[] => {
    const grid = grids.get(name)
    return grid === undefined ? [] : [{ key: COLOUR_KEYS[name] ?? name, label: textOf(name).label, grid }]
  }
  const onWindow = (next: { from: number; to: number } | null) => onSearch({ steps: printWindow(next) })

  return (
    <Columns gap="md">
      <Columns.Col span={{ base: 12, lg: 8 }}>
        <Card withBorder padding="sm">
          <Group mb="xs" gap="sm" align="end">
            <Select
              label="Statistic"
              data={names.map((name) => ({ value: name, label: textOf(name).label }))}
              value={chosen}
              onChange={(stat) => onSearch({ stat: stat ?? undefined })}
              allowDeselect={false}
              searchable
              w={260}
            />
            <ComparedRun run={run} recipe={recipe} search={search} onSearch={onSearch} />
          </Group>
          {error && (
            <Alert color="red" mb="xs" title="This could not be read">
              {error.message}
            </Alert>
          )}
          {against.problem && (
            <Alert color="orange" mb="xs" title="The difference cannot be shown">
              {against.problem}
            </Alert>
          )}
          {mine !== null && shown === null && (
            <Alert color="orange" mb="xs" title="The difference cannot be shown">
              The two runs divide t into another number of bins.
            </Alert>
          )}
          {mine === null ? (
            <Text c="dimmed">{loading ? 'Loading…' : 'No row yet'}</Text>
          ) : (
            <HeatMap
              grid={shown ?? mine}
              title={compared ? `${text.label}: this run less the other` : text.label}
              sentence={text.sentence}
              healthy={compared ? undefined : text.healthy}
              map={compared || chosen === GAP ? 'diverging' : 'sequential'}
              scale={search.colour ?? 'logarithmic'}
              onScale={(colour) => onSearch({ colour })}
              robust={robust}
              onRobust={setRobust}
              cursor={cursor}
              onCursor={setCursor}
              window={window}
              onWindow={onWindow}
              marks={marks}
              picked={
                search.step !== undefined && search.bin !== undefined
                  ? { step: search.step, bin: search.bin }
                  : null
              }
              onPick={(cell) => onSearch(cell)}
              height={260}
            />
          )}
          {points.length > 0 && (
            <CurveChart
              title="Loss terms as logged, before scaling"
              series={points.map((one) => ({ key: one.name, label: one.name, points: one }))}
              scale="log10"
              window={window}
              onWindow={onWindow}
              extent={last === null ? undefined : { from: 0, to: last }}
              cursor={cursor}
              onCursor={setCursor}
              height={200}
            />
          )}
        </Card>
      </Columns.Col>
      <Columns.Col span={{ base: 12, lg: 4 }}>
        <Stack gap="md">
          <Card withBorder padding="sm">
            <ProfileChart
              statistics={PROFILES.flatMap(statistic)}
              step={cursor ?? step}
              scale="logarithmic"
            />
          </Card>
          {WEIGHTS.some((name) => grids.has(name)) && (
            <Card withBorder padding="sm">
              <LeadChart terms={WEIGHTS.flatMap(statistic)} step={cursor ?? step} />
            </Card>
          )}
          {mine !== null && search.bin !== undefined && search.bin < mine.bins && (
            <Card withBorder padding="sm">
              <Lazy height={220} label="One noise level over the steps">
                <RowChart
                  statistic={{ key: chosen, label: text.label, grid: mine }}
                  bin={search.bin}
                  window={window}
                  cursor={cursor}
                  onCursor={setCursor}
                />
              </Lazy>
            </Card>
          )}
          <Guards marks={marks} worse={grids.get(WORSE) !== undefined} />
        </Stack>
      </Columns.Col>
    </Columns>
  )
}

function Guards({ marks, worse }: { marks: readonly HeatMark[]; worse: boolean }) {
  return (
    <Card withBorder padding="sm" component="section" aria-label="Guards">
      <Title order={3} size="h5" mb={4}>
        Guards
      </Title>
      {marks.length === 0 ? (
        <Text size="sm">
          Nothing seen: no loss that is not finite, no ratio at its limit, no resume
          {worse ? ', and the teacher better than the student in every bin' : ''}.
        </Text>
      ) : (
        <ScrollArea.Autosize mah={260} type="auto" viewportProps={{ tabIndex: 0, 'aria-label': 'Events' }}>
          <List size="sm" spacing={4}>
            {marks.map((mark) => (
              <List.Item key={`${mark.step} ${mark.kind} ${mark.bin ?? ''} ${mark.text}`}>
                step {mark.step.toLocaleString('en')} · {mark.text}
              </List.Item>
            ))}
          </List>
        </ScrollArea.Autosize>
      )}
    </Card>
  )
}

function ComparedRun({ run, recipe, search, onSearch }: PageState & { run: string; recipe: string }) {
  const query = useQuery({
    queryKey: ['runs', 'of recipe', recipe],
    queryFn: () => api.runs({ recipe, limit: COMPARED_RUNS }),
  })
  const others = query.data?.runs.filter(({ id }) => id !== run) ?? []
  const known = others.some(({ id }) => id === search.against)
  const data = [
    ...others.map(({ id, label, state }) => ({ value: id, label: `${label || id} (${state})` })),
    ...(search.against === undefined || known ? [] : [{ value: search.against, label: search.against }]),
  ]
  return (
    <Select
      label="Difference with"
      placeholder={data.length === 0 ? 'no other run of this recipe' : 'another run of this recipe'}
      disabled={data.length === 0}
      data={data}
      value={search.against ?? null}
      onChange={(against) => onSearch({ against: against ?? undefined })}
      clearable
      searchable
      w={280}
    />
  )
}

/** The same statistic of the stage of the same name in another run. */
function useCompared(run: string | undefined, stageName: string, statistic: string | undefined) {
  const other = useQuery({
    queryKey: ['run', run],
    queryFn: () => api.run(run ?? ''),
    enabled: run !== undefined,
    retry: false,
  })
  const stage = other.data?.stages.find(({ name }) => name === stageName)
  const sources = useMemo(() => (statistic === undefined ? [] : sourcesOf(statistic)), [statistic])
  const { grids, error } = useGrids(stage?.id, run === undefined ? [] : sources)
  const grid = useMemo(
    () =>
      statistic === undefined || run === undefined
        ? null
        : combined(
            statistic,
            sources.flatMap((name) => grids.get(name) ?? []),
          ),
    [run, statistic, sources, grids],
  )
  const problem =
    run === undefined
      ? null
      : (other.error?.message ??
        error?.message ??
        (other.data !== undefined && stage === undefined ? `The other run has no stage ${stageName}.` : null))
  return { grid, problem }
}
