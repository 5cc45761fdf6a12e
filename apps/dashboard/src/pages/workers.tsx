import { Badge, Card, Stack, Table, Text, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useEffect } from 'react'
import { api } from '../api.ts'
import { Answer } from '../components/answer.tsx'
import { LivenessMark } from '../components/liveness-mark.tsx'
import { duration, since } from '../format.ts'
import { useLive } from '../live.ts'

const POLL_MS = 5000

/** Where stages wait and who takes them. Heartbeats are no events, so this page also asks by itself. */
export function WorkersPage() {
  const workers = useQuery({ queryKey: ['workers'], queryFn: api.workers, refetchInterval: POLL_MS })
  const queues = useQuery({ queryKey: ['queues'], queryFn: api.queues, refetchInterval: POLL_MS })
  const liveness = useLive('/v1/events', [['workers'], ['queues']])
  useEffect(() => {
    document.title = 'Workers and queues · Limbeck'
  }, [])
  return (
    <Stack gap="md">
      <Title order={1} size="h2">
        Workers and queues
      </Title>
      <LivenessMark state={liveness} at={queues.dataUpdatedAt} />
      <Card withBorder padding="sm">
        <Title order={2} size="h4" mb="xs">
          Queues
        </Title>
        <Answer
          query={queues}
          empty={({ classes }) =>
            classes.length === 0 ? 'Nothing waits, and no worker is connected.' : null
          }
        >
          {({ classes }) => (
            <Table.ScrollContainer minWidth={560}>
              <Table>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>Class</Table.Th>
                    <Table.Th ta="right">Due</Table.Th>
                    <Table.Th ta="right">Later</Table.Th>
                    <Table.Th ta="right">Blocked</Table.Th>
                    <Table.Th ta="right">Running</Table.Th>
                    <Table.Th ta="right">Longest wait</Table.Th>
                    <Table.Th ta="right">Workers, free</Table.Th>
                    <Table.Th>In words</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {classes.map((one) => (
                    <Table.Tr key={one.resource_class}>
                      <Table.Td ff="monospace">{one.resource_class}</Table.Td>
                      <Table.Td ta="right">{one.due}</Table.Td>
                      <Table.Td ta="right">{one.queued - one.due}</Table.Td>
                      <Table.Td ta="right">{one.blocked}</Table.Td>
                      <Table.Td ta="right">{one.running}</Table.Td>
                      <Table.Td ta="right">{duration(one.oldest_wait_seconds)}</Table.Td>
                      <Table.Td ta="right">
                        {one.workers}, {one.free}
                      </Table.Td>
                      <Table.Td>{inWords(one)}</Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
          )}
        </Answer>
      </Card>
      <Card withBorder padding="sm">
        <Title order={2} size="h4" mb="xs">
          Workers
        </Title>
        <Answer
          query={workers}
          empty={(data) =>
            data.workers.length === 0
              ? 'No worker was heard of within a day. Start one with ./limbeck worker.'
              : null
          }
        >
          {(data) => (
            <Table.ScrollContainer minWidth={640}>
              <Table>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>Worker</Table.Th>
                    <Table.Th>State</Table.Th>
                    <Table.Th>Classes</Table.Th>
                    <Table.Th>Machine</Table.Th>
                    <Table.Th>Numbers</Table.Th>
                    <Table.Th>Stage</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {data.workers.map((worker) => (
                    <Table.Tr key={worker.id}>
                      <Table.Td>
                        <Text size="sm" fw={600}>
                          {worker.name}
                        </Text>
                        <Text size="xs" c="dimmed">
                          {Object.entries(worker.labels)
                            .map(([key, value]) => `${key}=${value}`)
                            .join(', ')}
                        </Text>
                      </Table.Td>
                      <Table.Td>
                        <Badge color={worker.live ? 'teal' : 'gray'} variant="light" tt="none">
                          {worker.live ? 'connected' : `last seen ${since(worker.last_seen_at, Date.now())}`}
                        </Badge>
                      </Table.Td>
                      <Table.Td ff="monospace">{worker.resource_classes.join(', ')}</Table.Td>
                      <Table.Td>
                        {worker.gpu_count} GPU, {Math.round(worker.memory_gb)} GB
                      </Table.Td>
                      <Table.Td>
                        <Text size="xs">
                          torch {worker.environment.torch}, {worker.environment.device},{' '}
                          {worker.environment.threads} threads
                        </Text>
                      </Table.Td>
                      <Table.Td ff="monospace">{worker.stage ?? '–'}</Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
          )}
        </Answer>
      </Card>
    </Stack>
  )
}

function inWords(one: {
  due: number
  workers: number
  free: number
  running: number
  resource_class: string
}) {
  if (one.resource_class === 'control') return 'taken by the control plane itself'
  if (one.due > 0 && one.workers === 0) return 'nobody serves this class: start a worker with it'
  if (one.due > 0 && one.free === 0) return 'all its workers are busy'
  if (one.due > 0) return 'about to be taken'
  return one.running > 0 ? 'running' : 'idle'
}
