import type { RunView, StageView } from '@limbeck/contracts'
import { Button, Card, Group, Select, SimpleGrid, Stack, Tabs, Text, Title } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { lazy, Suspense, useEffect } from 'react'
import { api } from '../api.ts'
import { Answer } from '../components/answer.tsx'
import { LivenessMark } from '../components/liveness-mark.tsx'
import { LogTail } from '../components/log-tail.tsx'
import { StageTable } from '../components/stage-table.tsx'
import { StateBadge } from '../components/state-badge.tsx'
import { Timeline } from '../components/timeline.tsx'
import { duration, number, since } from '../format.ts'
import { useLive } from '../live.ts'
import { type PageState, RUN_TABS, type RunTab } from './search.ts'

// The charts are the larger part of the bundle: a page of stages and logs does without.
const LossScale = lazy(() => import('./loss-scale.tsx').then(({ LossScale }) => ({ default: LossScale })))
const Curves = lazy(() => import('./curves.tsx').then(({ Curves }) => ({ default: Curves })))
const SamplesView = lazy(() =>
  import('../samples/samples-view.tsx').then(({ SamplesView }) => ({ default: SamplesView })),
)
const Ladd = lazy(() => import('./ladd.tsx').then(({ Ladd }) => ({ default: Ladd })))

const ENDED = ['succeeded', 'failed', 'cancelled']
const TRAINED = ['distill', 'distill_steps', 'pretrain', 'distill_decoder', 'pretrain_autoencoder']
const TITLES: Record<RunTab, string> = {
  overview: 'Overview',
  'loss-scale': 'Loss scale',
  curves: 'Curves',
  ladd: 'LADD',
  samples: 'Samples',
  logs: 'Logs',
}

export function RunPage({ run: id, search, onSearch }: PageState & { run: string }) {
  const query = useQuery({ queryKey: ['run', id], queryFn: () => api.run(id) })
  const liveness = useLive(`/v1/runs/${id}/events`, [['run', id], ['series', id], ['metrics'], ['logs']])
  return (
    <Answer query={query}>
      {(run) => (
        <Stack gap="md">
          <Header run={run} liveness={<LivenessMark state={liveness} at={query.dataUpdatedAt} />} />
          <Body run={run} search={search} onSearch={onSearch} />
        </Stack>
      )}
    </Answer>
  )
}

function Header({ run, liveness }: { run: RunView; liveness: React.ReactNode }) {
  const client = useQueryClient()
  const refresh = () => void client.invalidateQueries({ queryKey: ['run', run.id] })
  const cancel = useMutation({ mutationFn: () => api.cancel(run.id), onSettled: refresh })
  const retry = useMutation({ mutationFn: () => api.retry(run.id), onSettled: refresh })
  useEffect(() => {
    document.title = `${run.recipe} ${run.state} · Limbeck`
  }, [run.recipe, run.state])
  const problem = cancel.error ?? retry.error
  const noCancel = ENDED.includes(run.state)
    ? `The run has ${run.state}`
    : run.state === 'cancelling'
      ? 'A cancel is on its way to the workers'
      : null
  const noRetry =
    run.state === 'failed' || run.state === 'cancelled'
      ? null
      : 'Only a failed or cancelled run can be retried'
  return (
    <>
      <Group justify="space-between">
        <Group gap="sm">
          <Title order={1} size="h2">
            {run.recipe}
            {run.label && ` · ${run.label}`}
          </Title>
          <StateBadge state={run.state} />
          <Text size="sm" c="dimmed">
            <span style={{ fontFamily: 'monospace' }}>{run.id}</span> · by {run.submitted_by} · submitted{' '}
            {since(run.created_at, Date.now())}
          </Text>
        </Group>
        <Group gap="sm">
          {liveness}
          <Button
            variant="default"
            size="xs"
            disabled={noCancel !== null}
            title={noCancel ?? 'What waits ends at once, what runs within its deadline'}
            loading={cancel.isPending}
            onClick={() => cancel.mutate()}
          >
            Cancel
          </Button>
          <Button
            variant="default"
            size="xs"
            disabled={noRetry !== null}
            title={noRetry ?? 'Failed, cancelled and skipped stages start again'}
            loading={retry.isPending}
            onClick={() => retry.mutate()}
          >
            Retry
          </Button>
        </Group>
      </Group>
      {problem && (
        <Text c="red" size="sm" role="alert">
          {problem.message}
        </Text>
      )}
    </>
  )
}

/** The stage that somebody who opens the page most likely wants to see. */
function livelyStage(stages: readonly StageView[]): StageView | undefined {
  const started = stages.filter(({ attempts }) => attempts.length > 0)
  return (
    stages.find(({ state }) => state === 'running') ??
    started.findLast(({ kind }) => kind === 'distill') ??
    started.findLast(({ kind }) => TRAINED.includes(kind)) ??
    started.at(-1)
  )
}

function Body({ run, search, onSearch }: PageState & { run: RunView }) {
  const selected = run.stages.find(({ name }) => name === search.stage) ?? livelyStage(run.stages)
  const from = Date.parse(run.created_at)
  const to = run.ended_at === null ? Date.now() : Date.parse(run.ended_at)
  const choose = (stage: string) =>
    onSearch({ stage, step: undefined, bin: undefined, steps: undefined, series: undefined, stat: undefined })
  const state = { search, onSearch }
  return (
    <>
      <Card withBorder padding="sm">
        <Timeline stages={run.stages} from={from} to={to} />
      </Card>
      <Figures run={run} stage={selected} />
      <Tabs
        value={search.tab ?? 'overview'}
        onChange={(tab) => onSearch({ tab: (tab ?? undefined) as RunTab | undefined })}
        keepMounted={false}
      >
        <Group justify="space-between" align="end">
          <Tabs.List>
            {RUN_TABS.map((tab) => (
              <Tabs.Tab key={tab} value={tab}>
                {TITLES[tab]}
              </Tabs.Tab>
            ))}
          </Tabs.List>
          {selected && (
            <Select
              aria-label="Stage"
              data={run.stages.map(({ name }) => name)}
              value={selected.name}
              onChange={(name) => name && choose(name)}
              allowDeselect={false}
              size="xs"
              w={200}
            />
          )}
        </Group>
        <Tabs.Panel value="overview" pt="md">
          <Card withBorder padding="sm">
            <StageTable stages={run.stages} selected={selected?.name} onSelect={choose} />
          </Card>
        </Tabs.Panel>
        <Suspense fallback={<Text p="md">Loading…</Text>}>
          <Tabs.Panel value="loss-scale" pt="md">
            {selected && (
              <LossScale {...state} run={run.id} recipe={run.recipe} stage={selected} key={selected.id} />
            )}
          </Tabs.Panel>
          <Tabs.Panel value="curves" pt="md">
            {selected && <Curves {...state} run={run.id} stage={selected} key={selected.id} />}
          </Tabs.Panel>
          <Tabs.Panel value="ladd" pt="md">
            {selected && <Ladd {...state} run={run.id} stage={selected} key={selected.id} />}
          </Tabs.Panel>
          <Tabs.Panel value="samples" pt="md">
            <SamplesView {...state} run={run} />
          </Tabs.Panel>
        </Suspense>
        <Tabs.Panel value="logs" pt="md">
          {selected && (
            <Card withBorder padding="sm">
              <Title order={2} size="h4" mb="xs">
                Log of {selected.name}
              </Title>
              <LogTail stage={selected.id} />
            </Card>
          )}
        </Tabs.Panel>
      </Tabs>
    </>
  )
}

/** What is asked first: how far, how well, how long. */
function Figures({ run, stage }: { run: RunView; stage: StageView | undefined }) {
  const progress = stage?.progress ?? null
  const rate = progress?.images_per_second ?? null
  const evaluations = run.stages.flatMap(({ result }) => result?.evaluations ?? [])
  const newest = evaluations.at(-1)
  const spent = run.stages.reduce(
    (sum, { attempts }) =>
      sum + attempts.reduce((own, { started_at, ended_at }) => own + seconds(started_at, ended_at), 0),
    0,
  )
  const done = run.stages.filter(({ state }) => state === 'succeeded').length
  return (
    <SimpleGrid cols={{ base: 2, md: 4 }}>
      <Figure
        label={stage ? `step of ${stage.name}` : 'step'}
        value={
          progress ? `${progress.step.toLocaleString('en')} / ${progress.total.toLocaleString('en')}` : '–'
        }
        note={rate === null ? '' : `${number(rate)} images/s`}
      />
      <Figure label="loss" value={number(progress?.loss ?? null)} note={stage?.kind ?? ''} />
      <Figure
        label={
          newest ? `${newest.protocol.benchmark}, ${newest.role}, ${newest.protocol.steps} steps` : 'score'
        }
        value={newest ? newest.overall.toFixed(3) : '–'}
        note={
          newest
            ? `${newest.interval[0].toFixed(3)} to ${newest.interval[1].toFixed(3)}`
            : 'not evaluated yet'
        }
      />
      <Figure
        label="work so far"
        value={duration(Math.round(spent))}
        note={`${done} of ${run.stages.length} stages, over all attempts`}
      />
    </SimpleGrid>
  )
}

const seconds = (start: string, end: string | null): number =>
  ((end === null ? Date.now() : Date.parse(end)) - Date.parse(start)) / 1000

function Figure({ label, value, note }: { label: string; value: string; note: string }) {
  return (
    <Card withBorder padding="sm">
      <Text size="xs" c="dimmed">
        {label}
      </Text>
      <Text fz="xl" fw={600}>
        {value}
      </Text>
      <Text size="xs" c="dimmed">
        {note}
      </Text>
    </Card>
  )
}
