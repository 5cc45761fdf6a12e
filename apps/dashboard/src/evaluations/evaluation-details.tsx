import type { EvaluationView } from '@limbeck/contracts'
import { Alert, Button, Group, Stack, Table, Text, Title } from '@mantine/core'
import { DifferenceText } from './difference-text.tsx'
import classes from './evaluations.module.css'
import { extraText, scorerBetter, scorerLabel } from './extra-score.ts'
import { Failures } from './failures.tsx'
import { intervalText, shareText } from './numbers.ts'
import type { PairedDifference } from './paired.ts'
import { useArtifacts } from './queries.ts'
import { WideTable } from './wide-table.tsx'

/** Everything of one evaluation: scores by tag, other scores with their full names, pictures that failed. */
export function EvaluationDetails({
  evaluation,
  tags,
  baseline,
  difference,
  onClose,
}: {
  evaluation: EvaluationView
  tags: readonly string[]
  baseline: EvaluationView | null
  difference: PairedDifference | null
  onClose: () => void
}) {
  const { byStage, error } = useArtifacts([evaluation])
  const artifact = byStage.get(evaluation.stage)
  const rows = [
    ...tags.map((tag) => ({
      name: tag,
      score: evaluation.per_tag[tag] ?? null,
      difference: difference?.perTag.get(tag) ?? null,
    })),
    { name: 'held out', score: evaluation.held_out, difference: difference?.heldOut ?? null },
  ]
  return (
    <Stack gap="sm" component="section" aria-label={`Details of ${evaluation.role}`}>
      <Group justify="space-between">
        <Title order={3} size="h5">
          {evaluation.role}, {evaluation.stage_name}
        </Title>
        <Button size="xs" variant="default" onClick={onClose}>
          Close
        </Button>
      </Group>
      <Text className={classes.note}>
        {evaluation.id} · model <code>{evaluation.model?.slice(0, 12) ?? 'the snapshot’s own'}</code>
      </Text>
      <WideTable minWidth={560} label="Scores by task">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Task</Table.Th>
            <Table.Th ta="right">Pictures</Table.Th>
            <Table.Th>Correct, 95 %</Table.Th>
            <Table.Th>
              {baseline === null ? 'Against a baseline' : `Against ${baseline.role}, ${baseline.stage_name}`}
            </Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map(({ name, score, difference }) => (
            <Table.Tr key={name}>
              <Table.Td>{name}</Table.Td>
              <Table.Td ta="right">{score?.images ?? '–'}</Table.Td>
              <Table.Td className={classes.figure}>
                {score === null
                  ? 'not part of the protocol'
                  : `${shareText(score.score)} (${intervalText(score.interval)})`}
              </Table.Td>
              <Table.Td>
                {difference === null ? (
                  <Text className={classes.note}>{baseline === null ? 'choose one above' : '–'}</Text>
                ) : (
                  <DifferenceText difference={difference} />
                )}
              </Table.Td>
            </Table.Tr>
          ))}
          {evaluation.extra.map((score) => (
            <Table.Tr key={score.scorer}>
              <Table.Td>
                {scorerLabel(score.scorer)}
                <Text className={classes.note}>{scorerBetter(score.scorer)}</Text>
              </Table.Td>
              <Table.Td ta="right">–</Table.Td>
              <Table.Td colSpan={2}>
                {extraText(score)}
                {score.value !== null && <Text className={classes.note}>{score.name}</Text>}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </WideTable>
      {error !== null && artifact === undefined && (
        <Alert color="red" title="The run of this evaluation could not be read">
          {error.message}
        </Alert>
      )}
      {artifact !== undefined && <Failures evaluation={evaluation} artifact={artifact} />}
    </Stack>
  )
}
