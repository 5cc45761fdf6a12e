import type { ModelVersionView } from '@limbeck/contracts'
import { Anchor, Badge, Card, Code, Group, Stack, Table, Text, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useEffect } from 'react'
import { api } from '../api.ts'
import { Answer } from '../components/answer.tsx'
import { number, since } from '../format.ts'
import { useLive } from '../live.ts'

/** What may go to a phone, why, and what has gone. */
export function ReleasesPage() {
  const models = useQuery({ queryKey: ['models'], queryFn: api.models })
  const promotions = useQuery({ queryKey: ['releases'], queryFn: api.promotions })
  useLive('/v1/events', [['models'], ['releases']])
  useEffect(() => {
    document.title = 'Models and releases · Limbeck'
  }, [])
  return (
    <Stack gap="md">
      <Title order={1} size="h2">
        Models and releases
      </Title>
      <Answer
        query={models}
        empty={(data) =>
          data.models.length === 0 ? 'No model version yet: a run with gates leaves one when it ends.' : null
        }
      >
        {(data) => data.models.map((model) => <Version key={model.id} model={model} />)}
      </Answer>
      <Card withBorder padding="sm" component="section" aria-label="Promotions">
        <Title order={2} size="h4" mb="xs">
          Promotions
        </Title>
        <Answer
          query={promotions}
          empty={(data) =>
            data.promotions.length === 0
              ? 'Nothing has been promoted. A token with the scope promoter does it: ./limbeck releases promote.'
              : null
          }
        >
          {(data) => (
            <Table.ScrollContainer minWidth={520}>
              <Table>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>Alias</Table.Th>
                    <Table.Th>Model version</Table.Th>
                    <Table.Th>Before it</Table.Th>
                    <Table.Th>By</Table.Th>
                    <Table.Th>Why</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {data.promotions.map((one) => (
                    <Table.Tr key={one.id}>
                      <Table.Td>{one.alias}</Table.Td>
                      <Table.Td ff="monospace">{one.model_version}</Table.Td>
                      <Table.Td ff="monospace">{one.previous ?? '–'}</Table.Td>
                      <Table.Td>
                        {one.promoted_by}, {since(one.created_at, Date.now())}
                      </Table.Td>
                      <Table.Td>{one.reason || '–'}</Table.Td>
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

function Version({ model }: { model: ModelVersionView }) {
  const passed = model.gates.filter((gate) => gate.passed).length
  return (
    <Card withBorder padding="sm" component="section" aria-label={`${model.name} version ${model.version}`}>
      <Group justify="space-between" mb="xs">
        <Group gap="xs">
          <Title order={2} size="h4">
            {model.name} v{model.version}
          </Title>
          {model.aliases.map((alias) => (
            <Badge key={alias} tt="none" variant="light">
              {alias}
            </Badge>
          ))}
          <Badge color={model.promotable ? 'teal' : 'red'} variant="light" tt="none">
            {model.promotable
              ? 'promotable'
              : `${model.gates.length - passed} of ${model.gates.length} gates failed`}
          </Badge>
        </Group>
        <Anchor component={Link} to={`/runs/${model.run}`} size="sm">
          its run
        </Anchor>
      </Group>
      <Table.ScrollContainer minWidth={560}>
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Gate</Table.Th>
              <Table.Th ta="right">Measured</Table.Th>
              <Table.Th>Required</Table.Th>
              <Table.Th>Verdict</Table.Th>
              <Table.Th>Compared, and why so much</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {model.gates.map((gate) => (
              <Table.Tr key={gate.name}>
                <Table.Td>{gate.name}</Table.Td>
                <Table.Td ta="right">
                  {gate.measured === null ? 'not measured' : number(gate.measured)}
                </Table.Td>
                <Table.Td>{gate.required}</Table.Td>
                <Table.Td fw={600} {...(gate.passed ? {} : { c: 'red' })}>
                  {gate.passed ? '✓ passed' : '✗ failed'}
                </Table.Td>
                <Table.Td>
                  <Text size="xs">{gate.detail}</Text>
                  <Text size="xs" c="dimmed">
                    {gate.gate.rationale}
                  </Text>
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      <Text size="xs" mt="xs">
        Verify and fetch: <Code>./limbeck releases --help</Code> · package{' '}
        <span style={{ fontFamily: 'monospace' }}>{model.package.slice(0, 16)}</span>
      </Text>
    </Card>
  )
}
