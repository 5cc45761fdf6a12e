import { Button, Card, Checkbox, Group, ScrollArea, Stack, Text } from '@mantine/core'
import { useState } from 'react'
import { Answer } from '../components/answer.tsx'
import { since } from '../format.ts'
import classes from './evaluations.module.css'
import { protocolTitle, questionsKey } from './protocol.ts'
import { useEvaluations } from './queries.ts'

const MOST = 10

/** Which evaluations are compared: only those that drew the same prompts from the same noise have pairs. */
export function VotingChooser({
  ids,
  problem,
  onChoose,
}: {
  ids: readonly string[]
  /** Why `ids` cannot be voted on; null where they can. */
  problem: string | null
  onChoose: (ids: string[]) => void
}) {
  const [open, setOpen] = useState(problem !== null)
  return (
    <Card withBorder padding="sm" component="section" aria-label="What is compared">
      <Group justify="space-between">
        <Text size="sm">
          {problem === null
            ? `${ids.length} evaluations are compared.`
            : ids.length === 0
              ? 'Choose what is compared.'
              : problem}
        </Text>
        {problem === null && (
          <Button size="xs" variant="default" aria-expanded={open} onClick={() => setOpen(!open)}>
            {open ? 'Keep these' : 'Compare others'}
          </Button>
        )}
      </Group>
      {open && <Choices ids={ids} onChoose={onChoose} />}
    </Card>
  )
}

function Choices({ ids, onChoose }: { ids: readonly string[]; onChoose: (ids: string[]) => void }) {
  const query = useEvaluations()
  const [chosen, setChosen] = useState<readonly string[]>(ids)
  return (
    <Answer
      query={query}
      empty={({ evaluations }) => (evaluations.length < 2 ? 'Fewer than two evaluations exist.' : null)}
    >
      {({ evaluations }) => {
        const first = evaluations.find(({ id }) => chosen.includes(id))
        const obstacle =
          chosen.length < 2
            ? 'Choose at least two.'
            : chosen.length > MOST
              ? `Choose at most ${MOST}; ${chosen.length} are chosen.`
              : null
        return (
          <Stack gap="sm" mt="sm">
            <ScrollArea.Autosize mah={320} viewportProps={{ tabIndex: 0 }}>
              <Stack gap={6}>
                {evaluations.map((one) => {
                  const other = first !== undefined && questionsKey(first) !== questionsKey(one)
                  return (
                    <Checkbox
                      key={one.id}
                      label={`${one.role} (${one.stage_name}, ${since(one.created_at, Date.now())})`}
                      description={
                        other
                          ? 'other prompts or another seed than the chosen ones'
                          : protocolTitle(one.protocol)
                      }
                      classNames={{ description: classes.note ?? '' }}
                      disabled={other}
                      checked={chosen.includes(one.id)}
                      onChange={({ currentTarget: { checked } }) =>
                        setChosen((before) =>
                          checked ? [...before, one.id] : before.filter((id) => id !== one.id),
                        )
                      }
                    />
                  )
                })}
              </Stack>
            </ScrollArea.Autosize>
            <Group gap="sm">
              <Button
                size="xs"
                disabled={obstacle !== null}
                title={obstacle ?? undefined}
                aria-describedby="voting-obstacle"
                onClick={() => onChoose([...chosen])}
              >
                Vote on these
              </Button>
              <Text id="voting-obstacle" className={classes.note}>
                {obstacle ?? `${chosen.length} chosen`}
              </Text>
            </Group>
          </Stack>
        )
      }}
    </Answer>
  )
}
