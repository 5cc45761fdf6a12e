import type { EvaluationView } from '@limbeck/contracts'
import { Button, Card, Group, Stack, Table, Text, Title } from '@mantine/core'
import { useMemo, useState } from 'react'
import { EvaluationDetails } from './evaluation-details.tsx'
import classes from './evaluations.module.css'
import { axisOf, type Interval } from './numbers.ts'
import { firstResults, type ProtocolGroup, protocolParts, protocolTitle } from './protocol.ts'
import { ResultRow } from './result-row.tsx'
import { ScoreOverTime } from './score-over-checkpoints.tsx'
import type { EvaluationsSearch } from './search.ts'
import { usePaired } from './use-paired.ts'
import { useQuestions } from './use-questions.ts'
import { WideTable } from './wide-table.tsx'

/** Results shown at once: some milliseconds of work. */
const ROWS = 15

/** So many models are compared by votes at once. */
const MOST_VOTED = 10

/** One protocol, spelled out, with its results. */
export function ProtocolSection({
  group,
  open,
  baseline,
  onSearch,
  onVote,
}: {
  group: ProtocolGroup
  /** The evaluation whose details are open, of whichever protocol. */
  open: EvaluationView | undefined
  baseline: EvaluationView | null
  onSearch: (change: Partial<EvaluationsSearch>) => void
  onVote: ((evaluations: string) => void) | undefined
}) {
  const { hash, protocol, results, tags } = group
  const [limit, setLimit] = useState(ROWS)
  const [overTime, setOverTime] = useState(false)
  const { questions, note } = useQuestions(baseline)
  const differences = usePaired(results, baseline, questions)
  const axis = useMemo(
    () =>
      axisOf(
        results.map(
          ({ interval, overall }): Interval => [
            Math.min(interval[0], overall),
            Math.max(interval[1], overall),
          ],
        ),
        [0, 1],
      ),
    [results],
  )
  const votable = results.length >= 2 && results.length <= MOST_VOTED
  return (
    <Card withBorder padding="sm" component="section" aria-label={protocolTitle(protocol)}>
      <Group justify="space-between" align="start">
        <Title order={2} size="h4">
          {protocolTitle(protocol)}
        </Title>
        <Group gap="xs">
          {baseline !== null && (
            <Button size="xs" variant="default" onClick={() => onSearch({ baseline: undefined })}>
              No baseline
            </Button>
          )}
          {onVote !== undefined && votable && (
            <Button size="xs" variant="default" onClick={() => onVote(results.map(({ id }) => id).join(','))}>
              Vote on these {results.length}
            </Button>
          )}
        </Group>
      </Group>
      <Text className={classes.note} mb="xs">
        {protocolParts(protocol).join(' · ')} · protocol <code>{hash.slice(0, 12)}</code>
      </Text>
      {note !== null && (
        <Text className={classes.note} role="status" mb="xs">
          {note}
        </Text>
      )}
      <WideTable minWidth={1240} label={`Results: ${protocolTitle(protocol)}`}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Model</Table.Th>
            <Table.Th>Baseline</Table.Th>
            <Table.Th>
              Overall, 95 % ({axis[0]} to {axis[1]})
            </Table.Th>
            <Table.Th>Against the baseline, paired</Table.Th>
            <Table.Th>Held out</Table.Th>
            {tags.map((tag) => (
              <Table.Th key={tag}>{tag}</Table.Th>
            ))}
            <Table.Th ta="right">Parameters</Table.Th>
            <Table.Th ta="right">Images/s</Table.Th>
            <Table.Th>Other scores</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <tbody className={classes.results}>
          {firstResults(results, limit, [open?.id, baseline?.id]).map((one) => (
            <ResultRow
              key={one.id}
              result={one}
              tags={tags}
              axis={axis}
              open={one.id === open?.id}
              baseline={baseline}
              difference={differences.get(one.id) ?? null}
              computing={baseline !== null && questions !== null}
              onSearch={onSearch}
            />
          ))}
        </tbody>
      </WideTable>
      {results.length > limit && (
        <Group mt="xs">
          <Button size="xs" variant="default" onClick={() => setLimit(limit + ROWS)}>
            Show {Math.min(ROWS, results.length - limit)} more of {results.length}
          </Button>
        </Group>
      )}
      <Stack gap="sm" mt="sm">
        {results.length > 1 && (
          <details onToggle={({ currentTarget }) => setOverTime(currentTarget.open)}>
            <summary>Scores over time</summary>
            {overTime && <ScoreOverTime evaluations={results} />}
          </details>
        )}
        {open !== undefined && open.protocol_hash === hash && (
          <EvaluationDetails
            key={open.id}
            evaluation={open}
            tags={tags}
            baseline={baseline}
            difference={differences.get(open.id) ?? null}
            onClose={() => onSearch({ evaluation: undefined })}
          />
        )}
      </Stack>
    </Card>
  )
}
