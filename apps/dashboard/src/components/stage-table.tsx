import type { StageView } from '@limbeck/contracts'
import { Group, Progress, Table, Text, UnstyledButton } from '@mantine/core'
import { duration, number } from '../format.ts'
import { StateBadge } from './state-badge.tsx'

/** Stages in the order of the recipe; a click shows the curves and logs of one. */
export function StageTable({
  stages,
  selected,
  onSelect,
}: {
  stages: StageView[]
  selected: string | undefined
  onSelect: (name: string) => void
}) {
  return (
    <Table.ScrollContainer minWidth={640}>
      <Table highlightOnHover verticalSpacing={6}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Stage</Table.Th>
            <Table.Th w={120}>State</Table.Th>
            <Table.Th>Progress, or why</Table.Th>
            <Table.Th ta="right">Attempts</Table.Th>
            <Table.Th ta="right">Time</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {stages.map((stage) => (
            <Table.Tr
              key={stage.id}
              bg={stage.name === selected ? 'var(--mantine-color-default-hover)' : 'transparent'}
            >
              <Table.Td>
                <UnstyledButton onClick={() => onSelect(stage.name)} aria-pressed={stage.name === selected}>
                  <Text size="sm" fw={600} c="blue">
                    {stage.name}
                  </Text>
                  <Text size="xs" c="dimmed">
                    {stage.kind}
                  </Text>
                </UnstyledButton>
              </Table.Td>
              <Table.Td>
                <StateBadge state={stage.state} cached={stage.cached} />
              </Table.Td>
              <Table.Td>
                <Why stage={stage} />
              </Table.Td>
              <Table.Td ta="right">{stage.attempts.length}</Table.Td>
              <Table.Td ta="right" style={{ whiteSpace: 'nowrap' }}>
                {duration(stage.seconds)}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}

function Why({ stage }: { stage: StageView }) {
  const { progress } = stage
  if (stage.state === 'running' && progress !== null && progress.total > 0) {
    return (
      <>
        <Progress
          value={(100 * progress.step) / progress.total}
          aria-label={`step ${progress.step} of ${progress.total}`}
        />
        <Group gap="md" mt={2}>
          <Text size="xs">
            step {progress.step} of {progress.total}
          </Text>
          {progress.images_per_second !== null && (
            <Text size="xs">{number(progress.images_per_second)} images/s</Text>
          )}
          {progress.loss !== null && <Text size="xs">loss {number(progress.loss)}</Text>}
        </Group>
      </>
    )
  }
  if (stage.message) return <Text size="sm">{stage.message}</Text>
  if (stage.state === 'blocked') {
    return (
      <Text size="sm" c="dimmed">
        waits for {stage.needs.join(', ')}
      </Text>
    )
  }
  const scores =
    stage.result?.evaluations.map(
      (evaluation) => `${evaluation.protocol.steps} steps: ${number(evaluation.overall)}`,
    ) ?? []
  return <Text size="sm">{scores.join(' · ')}</Text>
}
