import { Alert, Button, Card, Group, Table, Text, Title } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import { Answer } from '../components/answer.tsx'
import classes from './evaluations.module.css'
import { IntervalPlot } from './interval-plot.tsx'
import { axisOf, intervalText, signedText } from './numbers.ts'
import { protocolTitle } from './protocol.ts'
import { useEvaluations, usePreferences } from './queries.ts'
import { WideTable } from './wide-table.tsx'

/** Strengths from all votes on pairs of these evaluations. From here on the voter knows whose pictures win. */
export function PreferenceResults({
  ids,
  voted,
}: {
  ids: readonly string[]
  /** The caller's votes: with one more the strengths are others. */
  voted: number
}) {
  const query = usePreferences(ids.join(','), voted)
  const { data } = useEvaluations()
  return (
    <Card withBorder padding="sm" component="section" aria-label="Result of the votes">
      <Group justify="space-between">
        <Title order={2} size="h4">
          Bradley-Terry strengths
        </Title>
        <Button size="xs" variant="default" loading={query.isFetching} onClick={() => void query.refetch()}>
          Ask again
        </Button>
      </Group>
      <Answer query={query} empty={({ votes }) => (votes === 0 ? 'Nobody has voted on these yet.' : null)}>
        {({ models, votes, voters, connected }) => {
          const intervals = models.flatMap(({ interval }) => (interval === null ? [] : [interval]))
          const axis = axisOf([...intervals, [0, 0]], [-100, 100], 1)
          return (
            <>
              <Text className={classes.note} mb="xs">
                {votes} votes of {voters} {voters === 1 ? 'voter' : 'voters'}. A wins over B with the chance 1
                / (1 + exp(B − A)); a tie is half a win for each; 95 % from the Fisher information. You have
                seen who is who: votes from now on are not blind.
              </Text>
              {!connected && (
                <Alert color="yellow" title="No strengths yet" mb="xs">
                  The votes do not lead from each evaluation to each other.
                </Alert>
              )}
              <WideTable minWidth={620} label="Strengths">
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>Evaluation</Table.Th>
                    <Table.Th ta="right">Strength</Table.Th>
                    <Table.Th>
                      95 % interval ({axis[0]} to {axis[1]})
                    </Table.Th>
                    <Table.Th ta="right">Wins</Table.Th>
                    <Table.Th ta="right">Losses</Table.Th>
                    <Table.Th ta="right">Ties</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {models
                    .toSorted((a, b) => (b.strength ?? 0) - (a.strength ?? 0))
                    .map((model) => {
                      const found = data?.evaluations.find(({ id }) => id === model.evaluation)
                      return (
                        <Table.Tr key={model.evaluation}>
                          <Table.Td>
                            <Link
                              className={classes.link}
                              to="/evaluations"
                              search={{ evaluation: model.evaluation }}
                            >
                              {model.role}
                            </Link>
                            <Text className={classes.note}>
                              {found === undefined
                                ? model.evaluation
                                : `${found.stage_name}, ${protocolTitle(found.protocol)}`}
                            </Text>
                          </Table.Td>
                          <Table.Td ta="right" className={classes.figure}>
                            {model.strength === null ? '–' : signedText(model.strength)}
                          </Table.Td>
                          <Table.Td>
                            {model.interval !== null && model.strength !== null ? (
                              <>
                                <Text className={`${classes.note} ${classes.figure}`}>
                                  {intervalText(model.interval, signedText)}
                                </Text>
                                <IntervalPlot
                                  value={model.strength}
                                  interval={model.interval}
                                  axis={axis}
                                  reference={0}
                                />
                              </>
                            ) : (
                              '–'
                            )}
                          </Table.Td>
                          <Table.Td ta="right">{model.wins}</Table.Td>
                          <Table.Td ta="right">{model.losses}</Table.Td>
                          <Table.Td ta="right">{model.ties}</Table.Td>
                        </Table.Tr>
                      )
                    })}
                </Table.Tbody>
              </WideTable>
            </>
          )
        }}
      </Answer>
    </Card>
  )
}
