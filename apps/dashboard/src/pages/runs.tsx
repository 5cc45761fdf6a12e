import { RunState } from '@limbeck/contracts'
import { Anchor, Group, Select, Table, Text, Title } from '@mantine/core'
import { useInfiniteQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useEffect, useState } from 'react'
import { api } from '../api.ts'
import { Answer } from '../components/answer.tsx'
import { LivenessMark } from '../components/liveness-mark.tsx'
import { StateBadge } from '../components/state-badge.tsx'
import { since } from '../format.ts'
import { useLive } from '../live.ts'

export function RunsPage() {
  const [state, setState] = useState<string | null>(null)
  const query = useInfiniteQuery({
    queryKey: ['runs', state],
    queryFn: ({ pageParam }) => api.runs({ state: state ?? undefined, cursor: pageParam }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  })
  const liveness = useLive('/v1/events', [['runs']])
  useEffect(() => {
    document.title = 'Runs · Limbeck'
  }, [])
  return (
    <>
      <Group justify="space-between" mb="md">
        <Title order={1} size="h2">
          Runs
        </Title>
        <Group>
          <LivenessMark state={liveness} at={query.dataUpdatedAt} />
          <Select
            aria-label="State"
            placeholder="Any state"
            clearable
            data={RunState.options}
            value={state}
            onChange={setState}
            w={150}
          />
        </Group>
      </Group>
      <Answer
        query={query}
        empty={(data) =>
          data.pages[0]?.runs.length === 0
            ? 'No run yet. Submit one with ./limbeck runs submit tiny-shapes, or run ./limbeck demo.'
            : null
        }
      >
        {(data) => (
          <Table.ScrollContainer minWidth={640}>
            <Table highlightOnHover>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Run</Table.Th>
                  <Table.Th w={120}>State</Table.Th>
                  <Table.Th>Stages</Table.Th>
                  <Table.Th>Submitted</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {data.pages.flatMap((page) =>
                  page.runs.map((run) => (
                    <Table.Tr key={run.id}>
                      <Table.Td>
                        <Anchor component={Link} to={`/runs/${run.id}`} fw={600}>
                          {run.recipe}
                          {run.label && ` · ${run.label}`}
                        </Anchor>
                        <Text size="xs" c="dimmed" ff="monospace">
                          {run.id}
                        </Text>
                      </Table.Td>
                      <Table.Td>
                        <StateBadge state={run.state} />
                      </Table.Td>
                      <Table.Td>
                        {Object.entries(run.stages_by_state)
                          .map(([name, count]) => `${count} ${name}`)
                          .join(', ')}
                      </Table.Td>
                      <Table.Td>
                        {since(run.created_at, Date.now())} by {run.submitted_by}
                      </Table.Td>
                    </Table.Tr>
                  )),
                )}
              </Table.Tbody>
            </Table>
            {query.hasNextPage && (
              <Anchor component="button" onClick={() => void query.fetchNextPage()} mt="sm">
                More runs
              </Anchor>
            )}
          </Table.ScrollContainer>
        )}
      </Answer>
    </>
  )
}
