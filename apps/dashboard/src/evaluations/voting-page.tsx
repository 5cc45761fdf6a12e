import { Alert, Progress as Bar, Button, Card, Group, Stack, Text, Title } from '@mantine/core'
import { useQueries } from '@tanstack/react-query'
import { useCallback, useEffect, useRef, useState } from 'react'
import { sheetFolder, sheetQuery } from '../samples/queries.ts'
import classes from './evaluations.module.css'
import { PreferenceResults } from './preference-results.tsx'
import { useArtifacts, useEvaluations } from './queries.ts'
import type { VotingSearch } from './search.ts'
import { useVoting } from './use-voting.ts'
import { VotePair } from './vote-pair.tsx'
import { type Choice, evaluationIds, type Pair, progressText, type Voting } from './voting.ts'
import { VotingChooser } from './voting-chooser.tsx'

/** Which of two pictures is better, without knowing whose they are. */
export function VotingPage({
  search,
  onSearch,
}: {
  search: VotingSearch
  onSearch: (change: Partial<VotingSearch>) => void
}) {
  const { ids, problem } = evaluationIds(search.evaluations)
  useEffect(() => {
    document.title = 'Blind votes · Limbeck'
  }, [])
  return (
    <Stack gap="md">
      <Title order={1} size="h2">
        Blind votes
      </Title>
      <VotingChooser
        key={`chooser ${search.evaluations}`}
        ids={ids}
        problem={problem}
        onChoose={(chosen) => onSearch({ evaluations: chosen.join(',') })}
      />
      {problem === null && <Booth key={ids.join(',')} ids={ids} />}
    </Stack>
  )
}

function Booth({ ids }: { ids: readonly string[] }) {
  const evaluations = ids.join(',')
  const { state, send } = useVoting(evaluations)
  const [open, setOpen] = useState(false)
  usePreloaded(ids)
  const stage = useStage(state)
  const press = useCallback(
    (choice: Choice) => send({ kind: 'pressed', choice, at: performance.now() }),
    [send],
  )
  return (
    <>
      <Card withBorder padding="md" component="section" aria-label="Vote">
        <Stack gap="md">
          <Standing state={state} />
          {stage !== null && (
            <VotePair
              pair={stage.pair}
              picked={stage.picked}
              onSeen={() => send({ kind: 'seen', pair: stage.pair, at: performance.now() })}
              onPress={press}
            />
          )}
          {state.kind === 'showing' && state.earlier && (
            <Text size="sm" role="status">
              The pair before had a vote of yours already (another window, or an answer that was lost): that
              one stands.
            </Text>
          )}
          {state.kind === 'asking' && stage === null && <Text role="status">Asking for the first pair</Text>}
          {(state.kind === 'unsaved' || state.kind === 'broken') && (
            <Alert
              color="red"
              title={
                state.kind === 'unsaved' ? 'The vote may not have been stored' : 'There is no pair to show'
              }
            >
              <Text size="sm" mb="xs">
                {state.message}
              </Text>
              <Button size="xs" variant="default" onClick={() => send({ kind: 'retried' })}>
                {state.kind === 'unsaved' ? 'Send it again' : 'Ask again'}
              </Button>
            </Alert>
          )}
          {state.kind === 'done' && (
            <Text role="status" fw={600}>
              {state.progress.pairs === 0
                ? 'These evaluations have no pairs.'
                : 'You have voted on every pair. Thank you.'}
            </Text>
          )}
          <Text className={classes.note}>
            A vote is stored at once and cannot be taken back; a pair comes once. Presses in the first moment
            of a pair do not count.
          </Text>
        </Stack>
      </Card>
      {open ? (
        <PreferenceResults ids={ids} voted={state.progress?.voted ?? 0} />
      ) : (
        <Group>
          <Button variant="default" onClick={() => setOpen(true)}>
            Show result (you will no longer be blind)
          </Button>
        </Group>
      )}
    </>
  )
}

interface Stage {
  pair: Pair
  picked: Choice | null
}

/** What stands on the page: the old pair stays until the new one is there, so that nothing jumps and focus holds. */
function useStage(state: Voting): Stage | null {
  const kept = useRef<Stage | null>(null)
  if (state.kind === 'showing') kept.current = { pair: state.pair, picked: null }
  else if (state.kind === 'saving') kept.current = { pair: state.pair, picked: state.choice }
  else if (state.kind !== 'asking') kept.current = null
  return kept.current
}

function Standing({ state: { progress } }: { state: Voting }) {
  if (progress === null) return null
  const text = progressText(progress)
  return (
    <div>
      <Group justify="space-between">
        <Text size="sm" role="status">
          {text}
        </Text>
        <Text className={classes.note}>← left · ↓ neither · → right</Text>
      </Group>
      <Bar value={progress.pairs === 0 ? 0 : (100 * progress.voted) / progress.pairs} aria-label={text} />
    </div>
  )
}

/**
 * The API names the next pair only after a vote, but every pair comes from the sheets of these evaluations: with all of
 * them here, the next pair costs one small request and no picture.
 */
function usePreloaded(ids: readonly string[]): void {
  const { data } = useEvaluations()
  const named = (data?.evaluations ?? []).filter(({ id }) => ids.includes(id))
  const { byStage } = useArtifacts(named)
  useQueries({
    queries: named.flatMap(({ stage, protocol }) => {
      const artifact = byStage.get(stage) ?? null
      return artifact === null ? [] : [sheetQuery(artifact, sheetFolder(protocol.steps))]
    }),
  })
}
