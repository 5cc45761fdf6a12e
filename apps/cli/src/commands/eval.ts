import { stderr, stdout } from 'node:process'
import { GENEVAL_TASKS } from '@limbeck/contracts'
import { publishedModels } from '@limbeck/core'
import type { Command } from 'commander'
import { askEvaluators, DpgReport, FrechetReport, GenEvalScores } from '../evaluation.ts'
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

  evaluation
    .command('frechet <first> <second>')
    .description('Frechet distance and KID of two .npz: features, or mu, sigma and n')
    .option('--json <out>', 'write all figures')
    .action((first: string, second: string, { json }: Options) => {
      const found = askEvaluators(['frechet', ...toFile(json), '--', first, second], FrechetReport)
      stdout.write(`${frechet(found)}\n`)
    })

  evaluation
    .command('dpg <questions> <answers>')
    .description(
      "DPG-Bench from a VQA model's answers (CSV: item_id, image, proposition_id, answer): strict, and as the reference program has it; status 2 where strict refuses",
    )
    .option('--json <out>', 'write scores by item and category')
    .action((questions: string, answers: string, { json }: Options) => {
      const found = askEvaluators(['dpg', ...toFile(json), '--', questions, answers], DpgReport)
      stdout.write(`${dpg(found)}\n`)
      for (const [mode, reason] of Object.entries(found.refused))
        stderr.write(`limbeck: ${mode} refused: ${reason}\n`)
      if (Object.keys(found.refused).length > 0) process.exitCode = 2
    })

  evaluation
    .command('published')
    .description('scores that others published, under protocols of their own: for orientation')
    .option('--json', 'print JSON')
    .action(({ json }: { json?: true }) => {
      stdout.write(json ? `${JSON.stringify({ models: publishedModels }, null, 2)}\n` : `${published()}\n`)
    })
}

const score = (value: number): string => value.toFixed(3)
const interval = ([low, high]: readonly [number, number], show = score): string =>
  `${show(low)} .. ${show(high)}`
const difference = (value: number): string => signed(value, 3)

function geneval({
  scorer,
  benchmark,
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
    `\n${(100 * prompt_any_accuracy).toFixed(1)} % of the prompts have a correct image; ${benchmark}, rules ${scorer}, bootstrap over prompts`,
  ].join('\n')
}

function frechet(report: FrechetReport): string {
  const { kid_details: kid } = report
  const deviation = kid?.std == null ? '' : ` +- ${kid.std.toPrecision(3)}`
  const notes = [
    report.rank_deficient &&
      'a covariance has no inverse: too few samples for the width, or repeated features',
    report.unstated.length > 0 && `not stated by both, so not compared: ${report.unstated.join(', ')}`,
  ].filter((note) => note !== false)
  return [
    `${report.label}: ${report.frechet_distance.toPrecision(6)}  (${report.n_first} and ${report.n_second} samples, ${report.width} wide)`,
    kid === null
      ? 'KID: not computed, a file holds no features'
      : `KID: ${kid.mean.toPrecision(4)}${deviation}  (${kid.subsets} subsets of ${kid.subset_size})`,
    ...notes.map((note) => `note: ${note}`),
  ].join('\n')
}

function published(): string {
  const rows = publishedModels.map((model): Cell[] => [
    model.model,
    `${(model.parameters / 1e9).toFixed(2)}B`,
    model.geneval.overall.toFixed(2),
    ...GENEVAL_TASKS.map((task) => model.geneval.tasks?.[task]?.toFixed(2) ?? null),
    model.dpg.toFixed(1),
    model.clip_score.toFixed(3),
  ])
  const figures = ['parameters', 'GenEval', ...GENEVAL_TASKS, 'DPG', 'CLIP']
  const sources = [...new Set(publishedModels.map(({ source }) => source))].join(', ')
  const notes = publishedModels.flatMap(({ model, note }) => (note === null ? [] : [`${model}: ${note}`]))
  return [
    table(['model', ...figures], rows, figures),
    `\npublished (${sources}) under protocols of their own; not comparable with results of this project`,
    ...notes,
  ].join('\n')
}

function dpg({ strict, compat }: DpgReport): string {
  const modes = [strict, compat].filter((mode) => mode !== undefined)
  const categories = [...new Set(modes.flatMap((mode) => Object.keys(mode.categories)))].sort()
  const percent = (value: number | undefined): Cell => (value === undefined ? null : (100 * value).toFixed(1))
  const rows = modes.map((mode): Cell[] => [
    mode.scorer,
    percent(mode.score),
    interval(mode.interval, (value) => (100 * value).toFixed(1)),
    mode.prompts,
    mode.images,
    ...categories.map((category) => percent(mode.categories[category]?.score)),
  ])
  const header = ['rules', 'DPG', '95 % interval', 'prompts', 'images', ...categories]
  const dropped = modes.flatMap((mode) =>
    mode.dropped.map(({ item_id, reason }) => `note: ${mode.scorer} leaves out ${item_id}: ${reason}`),
  )
  return [table(header, rows, ['DPG', ...categories]), ...dropped].join('\n')
}
