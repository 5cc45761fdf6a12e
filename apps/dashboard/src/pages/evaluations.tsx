import type { EvaluationView } from '@limbeck/contracts'
import { Anchor, Card, Stack, Table, Text, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useEffect } from 'react'
import { api } from '../api.ts'
import { Answer } from '../components/answer.tsx'
import { number, since } from '../format.ts'
import { useLive } from '../live.ts'

/** Results by protocol: only those of one table may be compared with each other. */
export function EvaluationsPage() {
  const query = useQuery({ queryKey: ['evaluations'], queryFn: () => api.evaluations() })
  const published = useQuery({ queryKey: ['published'], queryFn: api.published })
  useLive('/v1/events', [['evaluations']])
  useEffect(() => {
    document.title = 'Evaluations · Limbeck'
  }, [])
  return (
    <Stack gap="md">
      <Title order={1} size="h2">
        Evaluations
      </Title>
      <Answer
        query={query}
        empty={({ evaluations }) =>
          evaluations.length === 0
            ? 'Nothing has been evaluated yet. ./limbeck demo evaluates seven models.'
            : null
        }
      >
        {({ evaluations }) =>
          [...Map.groupBy(evaluations, ({ protocol_hash }) => protocol_hash)].map(([hash, results]) => (
            <Protocol key={hash} hash={hash} results={results} />
          ))
        }
      </Answer>
      <Card withBorder padding="sm" component="section" aria-label="Published elsewhere">
        <Title order={2} size="h4">
          Published elsewhere
        </Title>
        <Text size="sm" c="dimmed" mb="xs">
          By others, under protocols of their own: for orientation, never subtracted from the results above.
        </Text>
        <Answer query={published}>
          {({ models }) => (
            <Table.ScrollContainer minWidth={520}>
              <Table>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>Model</Table.Th>
                    <Table.Th ta="right">Parameters</Table.Th>
                    <Table.Th ta="right">GenEval</Table.Th>
                    <Table.Th ta="right">DPG</Table.Th>
                    <Table.Th ta="right">CLIP score</Table.Th>
                    <Table.Th>Source</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {models.map((model) => (
                    <Table.Tr key={model.model}>
                      <Table.Td>{model.model}</Table.Td>
                      <Table.Td ta="right">{millions(model.parameters)}</Table.Td>
                      <Table.Td ta="right">{number(model.geneval.overall)}</Table.Td>
                      <Table.Td ta="right">{number(model.dpg)}</Table.Td>
                      <Table.Td ta="right">{number(model.clip_score)}</Table.Td>
                      <Table.Td>
                        <Text size="xs">{model.source}</Text>
                      </Table.Td>
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

function Protocol({ hash, results }: { hash: string; results: EvaluationView[] }) {
  const [first] = results
  if (first === undefined) return null
  const { benchmark, steps, guidance_scale, prompts_per_tag, images_per_prompt, seed, scorer } =
    first.protocol
  const tags = Object.keys(first.per_tag)
  return (
    <Card withBorder padding="sm" component="section" aria-label={`Protocol ${hash.slice(0, 12)}`}>
      <Title order={2} size="h4">
        {benchmark}, {steps} steps
      </Title>
      <Text size="sm" c="dimmed" mb="xs">
        guidance {guidance_scale} · {prompts_per_tag} prompts a tag · {images_per_prompt} images a prompt ·
        seed {seed} · {scorer} · protocol <span style={{ fontFamily: 'monospace' }}>{hash.slice(0, 12)}</span>
      </Text>
      <Table.ScrollContainer minWidth={760}>
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Model</Table.Th>
              <Table.Th ta="right">Overall</Table.Th>
              <Table.Th>95 % interval</Table.Th>
              {tags.map((tag) => (
                <Table.Th key={tag} ta="right">
                  {tag}
                </Table.Th>
              ))}
              <Table.Th ta="right">Held out</Table.Th>
              <Table.Th ta="right">Parameters</Table.Th>
              <Table.Th>Besides</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {results.map((one) => (
              <Table.Tr key={one.id}>
                <Table.Td>
                  <Anchor component={Link} to={`/runs/${one.run}`} fw={600}>
                    {one.role}
                  </Anchor>
                  <Text size="xs" c="dimmed">
                    {since(one.created_at, Date.now())}
                  </Text>
                </Table.Td>
                <Table.Td ta="right" fw={600}>
                  {one.overall.toFixed(3)}
                </Table.Td>
                <Table.Td>
                  <Range interval={one.interval} />
                </Table.Td>
                {tags.map((tag) => (
                  <Table.Td key={tag} ta="right">
                    {one.per_tag[tag]?.score.toFixed(2) ?? '–'}
                  </Table.Td>
                ))}
                <Table.Td ta="right">{one.held_out?.score.toFixed(3) ?? '–'}</Table.Td>
                <Table.Td ta="right">{millions(one.parameters)}</Table.Td>
                <Table.Td>
                  {one.extra.map((score) => (
                    <Text key={score.scorer} size="xs" title={score.name}>
                      {score.scorer}:{' '}
                      {score.value === null ? `not run: ${score.not_run}` : number(score.value)}
                    </Text>
                  ))}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Card>
  )
}

/** An interval on a scale from 0 to 1, with its numbers beside it. */
function Range({ interval: [low, high] }: { interval: readonly [number, number] }) {
  return (
    <>
      <Text size="xs">
        {low.toFixed(3)} to {high.toFixed(3)}
      </Text>
      <svg viewBox="0 0 100 6" width="100" height="6" aria-hidden="true">
        <line x1="0" x2="100" y1="3" y2="3" stroke="var(--mantine-color-default-border)" />
        <rect
          x={100 * low}
          width={Math.max(1, 100 * (high - low))}
          height="6"
          rx="2"
          fill="var(--mantine-primary-color-filled)"
        />
      </svg>
    </>
  )
}

const millions = (count: number): string =>
  count >= 1e6 ? `${(count / 1e6).toFixed(1)} M` : `${(count / 1e3).toFixed(0)} k`
