import type { RunView, StageView } from '@limbeck/contracts'
import { Button, Card, Group, MultiSelect, SimpleGrid, Stack, Text, Title } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { api } from '../api.ts'
import { Answer } from '../components/answer.tsx'
import { HeatMap } from '../components/heat-map.tsx'
import { LivenessMark } from '../components/liveness-mark.tsx'
import { LogTail } from '../components/log-tail.tsx'
import { SeriesChart } from '../components/series-chart.tsx'
import { StageTable } from '../components/stage-table.tsx'
import { StateBadge } from '../components/state-badge.tsx'
import { Timeline } from '../components/timeline.tsx'
import { since } from '../format.ts'
import { useLive } from '../live.ts'

const ENDED = ['succeeded', 'failed', 'cancelled']

/** What healthy looks like, by statistic; anything else gets the general sentence. */
const CAPTIONS: Record<string, string> = {
  'validation/task_by_t':
    'Error against held-out data. Healthy: falls everywhere, lowest in the middle; both ends stay brighter.',
  'validation/output_kd_by_t':
    'Where the student disagrees with the teacher. Healthy: both ends darken steadily; a bright row that stays is a noise level it cannot learn.',
  'validation/feature_kd_by_t':
    "Distance of the student's last features from the teacher's. Healthy: darkens everywhere.",
}

export function RunPage({ run: id }: { run: string }) {
  const query = useQuery({ queryKey: ['run', id], queryFn: () => api.run(id) })
  const liveness = useLive(`/v1/runs/${id}/events`, [['run', id], ['series', id], ['metrics'], ['logs']])
  return (
    <Answer query={query}>
      {(run) => (
        <Stack gap="md">
          <Header run={run} liveness={<LivenessMark state={liveness} at={query.dataUpdatedAt} />} />
          <Stages run={run} />
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
  const ended = ENDED.includes(run.state)
  useEffect(() => {
    document.title = `${run.recipe} ${run.state} · Limbeck`
  }, [run.recipe, run.state])
  const problem = cancel.error ?? retry.error
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
            disabled={ended || run.state === 'cancelling'}
            title={
              ended
                ? `The run has ${run.state}`
                : run.state === 'cancelling'
                  ? 'A cancel is on its way to the workers'
                  : ''
            }
            loading={cancel.isPending}
            onClick={() => cancel.mutate()}
          >
            Cancel
          </Button>
          <Button
            variant="default"
            size="xs"
            disabled={run.state !== 'failed' && run.state !== 'cancelled'}
            title={
              run.state === 'failed' || run.state === 'cancelled'
                ? ''
                : 'Only a failed or cancelled run can be retried'
            }
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

function Stages({ run }: { run: RunView }) {
  const [chosen, choose] = useState<string>()
  const lively =
    run.stages.find((stage) => stage.state === 'running') ??
    run.stages.findLast((stage) => stage.attempts.length > 0)
  const selected = run.stages.find((stage) => stage.name === chosen) ?? lively
  const from = Date.parse(run.created_at)
  const to = run.ended_at === null ? Date.now() : Date.parse(run.ended_at)
  return (
    <>
      <Card withBorder padding="sm">
        <Timeline stages={run.stages} from={from} to={to} />
      </Card>
      <Card withBorder padding="sm">
        <StageTable stages={run.stages} selected={selected?.name} onSelect={choose} />
      </Card>
      {selected && <StageCharts run={run.id} stage={selected} />}
    </>
  )
}

function StageCharts({ run, stage }: { run: string; stage: StageView }) {
  const query = useQuery({ queryKey: ['series', run], queryFn: () => api.series(run) })
  const [wanted, want] = useState<string[] | null>(null)
  return (
    <Card withBorder padding="sm">
      <Title order={2} size="h4" mb="xs">
        {stage.name}
      </Title>
      <Answer
        query={query}
        empty={(data) =>
          data.series.some((series) => series.stage === stage.id) ? null : 'This stage has logged no series.'
        }
      >
        {(data) => {
          const own = data.series.filter((series) => series.stage === stage.id)
          const scalars = own.filter((series) => series.kind === 'scalar').map((series) => series.name)
          const arrays = own.filter((series) => series.kind === 'array').map((series) => series.name)
          const shown = (wanted ?? scalars.filter((name) => name.startsWith('loss/'))).filter((name) =>
            scalars.includes(name),
          )
          return (
            <Stack>
              <MultiSelect label="Series" data={scalars} value={shown} onChange={want} searchable clearable />
              <SimpleGrid cols={{ base: 1, sm: 2, lg: 3 }}>
                {shown.map((name) => (
                  <SeriesChart key={`${stage.id} ${name}`} stage={stage.id} name={name} />
                ))}
              </SimpleGrid>
              <SimpleGrid cols={{ base: 1, lg: 2 }}>
                {arrays
                  .filter((name) => name in CAPTIONS)
                  .map((name) => (
                    <HeatMap
                      key={`${stage.id} ${name}`}
                      stage={stage.id}
                      name={name}
                      caption={CAPTIONS[name] ?? ''}
                    />
                  ))}
              </SimpleGrid>
            </Stack>
          )
        }}
      </Answer>
      <Title order={3} size="h5" mt="md" mb="xs">
        Log
      </Title>
      <LogTail stage={stage.id} />
    </Card>
  )
}
