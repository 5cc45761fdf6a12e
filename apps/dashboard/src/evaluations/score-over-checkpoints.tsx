import type { EvaluationView } from '@limbeck/contracts'
import { Group, Select, Stack, Text } from '@mantine/core'
import { useMemo, useState } from 'react'
import classes from './evaluations.module.css'
import { groupByProtocol, protocolTitle } from './protocol.ts'
import { ScoreChart } from './score-chart.tsx'
import { measuresOf, notRunReasons, pointsOf } from './score-points.ts'

const timeOf = ({ created_at }: EvaluationView): number => Date.parse(created_at)

/** A score of one protocol over time or over training steps, with intervals; a line for each role. */
export function ScoreOverTime({
  evaluations,
  stepOf,
}: {
  evaluations: readonly EvaluationView[]
  /** Training steps of the model that was evaluated, null where not known; left out, there is only the time. */
  stepOf?: ((evaluation: EvaluationView) => number | null) | undefined
}) {
  const groups = useMemo(() => groupByProtocol(evaluations), [evaluations])
  const [hash, setHash] = useState<string | null>(null)
  const [key, setKey] = useState('overall')
  const [axis, setAxis] = useState<'time' | 'step'>('time')
  const group = groups.find((one) => one.hash === hash) ?? groups[0]
  const measures = useMemo(() => measuresOf(group?.results ?? []), [group])
  const measure = measures.find((one) => one.key === key) ?? measures[0]
  const byStep = axis === 'step' && stepOf !== undefined
  const xOf = byStep ? stepOf : timeOf
  const { points, without } = useMemo(
    () =>
      group === undefined || measure === undefined
        ? { points: [], without: 0 }
        : pointsOf(group.results, measure, xOf),
    [group, measure, xOf],
  )
  if (group === undefined || measure === undefined)
    return <Text className={classes.note}>There are no evaluations yet.</Text>
  return (
    <Stack gap="xs">
      <Group gap="sm" align="end">
        {groups.length > 1 && (
          <Select
            label="Protocol"
            allowDeselect={false}
            data={groups.map(({ hash, protocol }) => ({
              value: hash,
              label: `${protocolTitle(protocol)} (${hash.slice(0, 8)})`,
            }))}
            value={group.hash}
            onChange={setHash}
            w={320}
          />
        )}
        <Select
          label="Score"
          allowDeselect={false}
          data={measures.map(({ key, label }) => ({ value: key, label }))}
          value={measure.key}
          onChange={(next) => next !== null && setKey(next)}
          w={260}
        />
        {stepOf !== undefined && (
          <Select
            label="Over"
            allowDeselect={false}
            data={[
              { value: 'time', label: 'time' },
              { value: 'step', label: 'training steps' },
            ]}
            value={axis}
            onChange={(next) => setAxis(next === 'step' ? 'step' : 'time')}
            w={140}
          />
        )}
      </Group>
      {points.length === 0 ? (
        <Text className={classes.note} role="status">
          No evaluation has this score{byStep ? ' and a known step' : ''}.
        </Text>
      ) : (
        <ScoreChart points={points} measure={measure} x={byStep ? 'step' : 'time'} />
      )}
      {without > 0 && points.length > 0 && (
        <Text className={classes.note}>
          {without} of {group.results.length} evaluations are not drawn: they lack this score
          {byStep ? ' or a known step' : ''}.
        </Text>
      )}
      {notRunReasons(group.results).map((text) => (
        <Text key={text} className={classes.note}>
          {text}
        </Text>
      ))}
    </Stack>
  )
}
