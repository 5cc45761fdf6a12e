import type { EvaluationView } from '@limbeck/contracts'
import { Link } from '@tanstack/react-router'
import { memo } from 'react'
import { DifferenceText } from './difference-text.tsx'
import classes from './evaluations.module.css'
import { extraText, scorerBetter, scorerLabel } from './extra-score.ts'
import { IntervalPlot } from './interval-plot.tsx'
import { type Interval, intervalText, parametersText, scoreText, shareText, timeText } from './numbers.ts'
import type { PairedDifference } from './paired.ts'
import type { EvaluationsSearch } from './search.ts'

/**
 * One evaluation in the table of its protocol. Made anew only when something of its own changed: a table
 * has up to 200 of them.
 */
export const ResultRow = memo(function ResultRow({
  result,
  tags,
  axis,
  open,
  baseline,
  difference,
  computing,
  onSearch,
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
  /** The same function in every render. */
  onSearch: (change: Partial<EvaluationsSearch>) => void
}) {
  const isBaseline = result.id === baseline?.id
  return (
    <tr className={open ? classes.chosen : undefined}>
      <td>
        <button
          type="button"
          className={classes.open}
          aria-expanded={open}
          onClick={() => onSearch({ evaluation: open ? undefined : result.id })}
        >
          {result.role}
        </button>
        <div className={classes.note}>
          {result.stage_name} · {timeText(result.created_at)} ·{' '}
          <Link
            className={classes.link}
            to={`/runs/${result.run}`}
            aria-label={`run of ${result.role}, ${result.run}`}
          >
            run
          </Link>
        </div>
      </td>
      <td>
        <input
          type="radio"
          name={`baseline ${result.protocol_hash}`}
          checked={isBaseline}
          onChange={() => onSearch({ baseline: result.id })}
          aria-label={`compare with ${result.role}, ${result.stage_name}`}
        />
      </td>
      <td>
        <div className={`${classes.figure} ${classes.value}`}>{shareText(result.overall)}</div>
        <div className={`${classes.note} ${classes.figure}`}>{intervalText(result.interval)}</div>
        <IntervalPlot
          value={result.overall}
          interval={result.interval}
          axis={axis}
          reference={baseline?.overall ?? null}
        />
      </td>
      <td>
        {baseline === null ? (
          <div className={classes.note}>no baseline chosen</div>
        ) : isBaseline ? (
          <div>the baseline</div>
        ) : difference === null ? (
          <div className={classes.note}>
            {result.verdicts.length !== baseline.verdicts.length
              ? `not paired: ${result.verdicts.length} pictures against ${baseline.verdicts.length}`
              : computing
                ? 'computing'
                : 'not known'}
          </div>
        ) : (
          <DifferenceText difference={difference.overall} />
        )}
      </td>
      <td>
        <Score score={result.held_out} absent="none" />
      </td>
      {tags.map((tag) => (
        <td key={tag}>
          <Score score={result.per_tag[tag] ?? null} absent="–" />
        </td>
      ))}
      <td className={`${classes.figure} ${classes.right}`}>{parametersText(result.parameters)}</td>
      <td className={`${classes.figure} ${classes.right}`}>{scoreText(result.images_per_second)}</td>
      <td className={classes.extras}>
        {result.extra.length === 0 && <div className={classes.note}>none asked for</div>}
        {result.extra.map((score) => (
          <div
            key={score.scorer}
            className={score.value === null ? classes.note : classes.extra}
            title={`${score.name}; ${scorerBetter(score.scorer)}`}
          >
            {scorerLabel(score.scorer)}: {extraText(score)}
          </div>
        ))}
      </td>
    </tr>
  )
})

function Score({ score, absent }: { score: EvaluationView['held_out']; absent: string }) {
  if (score === null) return <div className={classes.note}>{absent}</div>
  return (
    <>
      <div className={classes.figure}>{shareText(score.score)}</div>
      <div className={`${classes.note} ${classes.figure}`}>
        {score.interval[0] === score.interval[1]
          ? 'no spread'
          : `${score.interval[0].toFixed(2)} to ${score.interval[1].toFixed(2)}`}
      </div>
    </>
  )
}
