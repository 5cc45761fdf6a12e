import type { EvaluationView } from '@limbeck/contracts'
import { Radio, Table, Text, UnstyledButton } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import { since } from '../format.ts'
import { DifferenceText } from './difference-text.tsx'
import classes from './evaluations.module.css'
import { extraText, scorerBetter, scorerLabel } from './extra-score.ts'
import { IntervalPlot } from './interval-plot.tsx'
import { type Interval, intervalText, parametersText, scoreText, shareText } from './numbers.ts'
import type { PairedDifference } from './paired.ts'

/** One evaluation in the table of its protocol. */
export function ResultRow({
  result,
  tags,
  axis,
  open,
  baseline,
  difference,
  computing,
  onOpen,
  onBaseline,
}: {
  result: EvaluationView
  tags: readonly string[]
  axis: Interval
  /** Whether its details are shown below. */
  open: boolean
  baseline: EvaluationView | null
  difference: PairedDifference | null
  /** Whether a difference is on its way. */
  computing: boolean
  onOpen: () => void
  onBaseline: () => void
}) {
  const isBaseline = result.id === baseline?.id
  return (
    <Table.Tr className={open ? classes.chosen : undefined}>
      <Table.Td>
        <UnstyledButton className={classes.open} aria-expanded={open} onClick={onOpen}>
          {result.role}
        </UnstyledButton>
        <Text className={classes.note}>
          {result.stage_name} · {since(result.created_at, Date.now())} ·{' '}
          <Link to={`/runs/${result.run}`} aria-label={`run of ${result.role}, ${result.run}`}>
            run
          </Link>
        </Text>
      </Table.Td>
      <Table.Td>
        <Radio
          name={`baseline ${result.protocol_hash}`}
          checked={isBaseline}
          onChange={onBaseline}
          aria-label={`compare with ${result.role}, ${result.stage_name}`}
        />
      </Table.Td>
      <Table.Td>
        <Text size="sm" fw={600} className={classes.figure}>
          {shareText(result.overall)}
        </Text>
        <Text className={`${classes.note} ${classes.figure}`}>{intervalText(result.interval)}</Text>
        <IntervalPlot
          value={result.overall}
          interval={result.interval}
          axis={axis}
          reference={baseline?.overall ?? null}
        />
      </Table.Td>
      <Table.Td>
        {baseline === null ? (
          <Text className={classes.note}>no baseline chosen</Text>
        ) : isBaseline ? (
          <Text size="sm">the baseline</Text>
        ) : difference === null ? (
          <Text className={classes.note}>
            {result.verdicts.length !== baseline.verdicts.length
              ? `not paired: ${result.verdicts.length} pictures against ${baseline.verdicts.length}`
              : computing
                ? 'computing'
                : 'not known'}
          </Text>
        ) : (
          <DifferenceText difference={difference.overall} />
        )}
      </Table.Td>
      <Table.Td>
        <Score score={result.held_out} absent="none" />
      </Table.Td>
      {tags.map((tag) => (
        <Table.Td key={tag}>
          <Score score={result.per_tag[tag] ?? null} absent="–" />
        </Table.Td>
      ))}
      <Table.Td ta="right" className={classes.figure}>
        {parametersText(result.parameters)}
      </Table.Td>
      <Table.Td ta="right" className={classes.figure}>
        {scoreText(result.images_per_second)}
      </Table.Td>
      <Table.Td miw={200}>
        {result.extra.length === 0 && <Text className={classes.note}>none asked for</Text>}
        {result.extra.map((score) => (
          <Text
            key={score.scorer}
            className={score.value === null ? classes.note : undefined}
            size="xs"
            title={`${score.name}; ${scorerBetter(score.scorer)}`}
          >
            {scorerLabel(score.scorer)}: {extraText(score)}
          </Text>
        ))}
      </Table.Td>
    </Table.Tr>
  )
}

function Score({ score, absent }: { score: EvaluationView['held_out']; absent: string }) {
  if (score === null) return <Text className={classes.note}>{absent}</Text>
  return (
    <>
      <Text size="sm" className={classes.figure}>
        {shareText(score.score)}
      </Text>
      <Text className={`${classes.note} ${classes.figure}`}>
        {score.interval[0] === score.interval[1]
          ? 'no spread'
          : `${score.interval[0].toFixed(2)} to ${score.interval[1].toFixed(2)}`}
      </Text>
    </>
  )
}
