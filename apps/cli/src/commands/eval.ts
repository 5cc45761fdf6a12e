import { stdout } from 'node:process'
import type { Command } from 'commander'
import { askEvaluators, GenEvalScores } from '../evaluation.ts'
import { type Cell, signed, table } from '../format.ts'
import { outputFile } from '../output-file.ts'

interface Options {
  json?: string
}

const toFile = (json: string | undefined): string[] =>
  json === undefined ? [] : [`--json=${outputFile('--json', json)}`]

/** Scores of files, for models that this project never trained; needs no server. */
export function registerEval(program: Command): void {
  const evaluation = program
    .command('eval')
    .description('scores of files, by the exact rules of the reference programs')

  evaluation
    .command('geneval <file>')
    .description('GenEval from detections: JSON lines of {"metadata", "detections"}, one an image')
    .option(
      '--against <file>',
      'a second model on the same prompts and seeds: the paired difference, first minus second',
    )
    .option('--json <out>', 'write scores and the verdict of each image')
    .action((file: string, { against, json }: Options & { against?: string }) => {
      const found = askEvaluators(
        ['geneval', ...(against === undefined ? [] : [`--against=${against}`]), ...toFile(json), '--', file],
        GenEvalScores,
      )
      stdout.write(`${geneval(found)}\n`)
    })
}

const score = (value: number): string => value.toFixed(3)
const interval = ([low, high]: readonly [number, number], show = score): string =>
  `${show(low)} .. ${show(high)}`
const difference = (value: number): string => signed(value, 3)

function geneval({
  scorer,
  tasks,
  overall,
  overall_interval,
  prompt_any_accuracy,
  warnings,
  paired,
}: GenEvalScores): string {
  const differences = (task?: { difference: number; interval: [number, number] }): Cell[] =>
    task ? [difference(task.difference), interval(task.interval, difference)] : []
  const rows = Object.entries(tasks).map(([tag, task]): Cell[] => [
    tag,
    score(task.score),
    interval(task.interval),
    task.images,
    ...differences(paired?.tasks[tag]),
  ])
  const whole = paired && { difference: paired.overall, interval: paired.overall_interval }
  rows.push(['overall', score(overall), interval(overall_interval), null, ...differences(whole)])
  const header = ['task', 'score', '95 % interval', 'images']
  return [
    ...warnings.map((warning) => `note: ${warning}`),
    table(paired ? [...header, 'difference', 'its interval'] : header, rows, ['score', 'difference']),
    `\n${(100 * prompt_any_accuracy).toFixed(1)} % of the prompts have a correct image; rules ${scorer}, bootstrap over prompts`,
  ].join('\n')
}
