import type { EvaluationView } from '@limbeck/contracts'
import { Alert, Button, Group, Select, Stack, Switch, Text, TextInput, Title } from '@mantine/core'
import { memo, useDeferredValue, useMemo, useState } from 'react'
import { Answer } from '../components/answer.tsx'
import { type LoadedSheet, sheetFolder, useSheet } from '../samples/queries.ts'
import { foreignVerdicts } from '../samples/sheet.ts'
import classes from './evaluations.module.css'
import { countKinds, limited, type TileFilter, tilesByTask } from './failing.ts'
import { TaskTilesList } from './task-tiles.tsx'

/** Tiles that are added at once: a few milliseconds of work. */
const PAGE = 80

/** The pictures of an evaluation by task: those that failed, and why. */
export const Failures = memo(function Failures({
  evaluation,
  artifact,
}: {
  evaluation: Pick<EvaluationView, 'role' | 'protocol' | 'verdicts'>
  /** Output of its stage; null: it has none. */
  artifact: string | null
}) {
  const query = useSheet(artifact, sheetFolder(evaluation.protocol.steps))
  if (artifact === null)
    return <Text className={classes.note}>The stage of this evaluation has no stored pictures.</Text>
  return (
    <Answer query={query}>
      {(loaded) => {
        const foreign = foreignVerdicts(loaded.sheet, evaluation.verdicts)
        return foreign > 0 ? (
          <Alert color="yellow" title="These pictures are another evaluation’s">
            The stage kept one sheet for {evaluation.protocol.steps} steps, and its verdicts differ from this
            evaluation’s in {foreign} places.
          </Alert>
        ) : (
          <Tiles loaded={loaded} />
        )
      }}
    </Answer>
  )
})

function Tiles({ loaded }: { loaded: LoadedSheet }) {
  const [filter, setFilter] = useState<TileFilter>({ text: '', tag: null, kind: null, correct: false })
  const [limit, setLimit] = useState(PAGE)
  // Typing is answered at once; the tiles follow.
  const applied = useDeferredValue(filter)
  const { sheet } = loaded
  const tasks = useMemo(() => tilesByTask(sheet, applied), [sheet, applied])
  const kinds = useMemo(() => countKinds(sheet, filter.tag), [sheet, filter.tag])
  const tags = useMemo(() => [...new Set(sheet.tiles.map(({ tag }) => tag))], [sheet])
  const found = tasks.reduce((sum, { tiles }) => sum + tiles.length, 0)
  const failed = sheet.tiles.filter(({ correct }) => !correct).length
  const change = (part: Partial<TileFilter>) => {
    setFilter((before) => ({ ...before, ...part }))
    setLimit(PAGE)
  }
  return (
    <Stack gap="sm">
      <Title order={4} size="h6">
        {failed} of {sheet.tiles.length} pictures failed
      </Title>
      {loaded.problem !== null && (
        <Alert color="yellow" title="Verdicts without pictures">
          {loaded.problem}
        </Alert>
      )}
      <Group gap="sm" align="end">
        <TextInput
          label="Prompt or reason"
          placeholder="part of it"
          data-shortcut="search"
          value={filter.text}
          onChange={(event) => change({ text: event.currentTarget.value })}
        />
        <Select
          label="Task"
          placeholder="all"
          clearable
          clearButtonProps={{ 'aria-label': 'All tasks' }}
          data={tags}
          value={filter.tag}
          onChange={(tag) => change({ tag, kind: null })}
        />
        <Switch
          label="Correct ones too"
          checked={filter.correct}
          onChange={({ currentTarget: { checked } }) => change({ correct: checked })}
        />
      </Group>
      <Group gap="xs" role="group" aria-label="Why they failed">
        <Text size="sm">Why:</Text>
        {kinds.map(([kind, count]) => (
          <Button
            key={kind}
            size="compact-xs"
            variant={filter.kind === kind ? 'filled' : 'default'}
            aria-pressed={filter.kind === kind}
            onClick={() => change({ kind: filter.kind === kind ? null : kind })}
          >
            {kind} {count}
          </Button>
        ))}
        {kinds.length === 0 && <Text className={classes.note}>nothing failed</Text>}
      </Group>
      <Text className={classes.note} role="status">
        {found === 0 ? 'No picture fits the filter.' : `${Math.min(limit, found)} of ${found} pictures shown`}
      </Text>
      {limited(tasks, limit).map((task) => (
        <TaskTilesList key={`${task.heldOut} ${task.tag}`} task={task} loaded={loaded} />
      ))}
      {found > limit && (
        <Group>
          <Button variant="default" onClick={() => setLimit((before) => before + PAGE)}>
            Show {Math.min(PAGE, found - limit)} more
          </Button>
        </Group>
      )}
    </Stack>
  )
}
