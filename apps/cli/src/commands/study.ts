import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stdout } from 'node:process'
import { Recipe, RunView } from '@limbeck/contracts'
import { repositoryRoot } from '@limbeck/platform'
import type { Command } from 'commander'
import { registerAssets } from '../assets.ts'
import { type ConnectionOptions, connect, withConnection } from '../connection.ts'
import { follow } from '../follow.ts'
import { type Cell, signed, table } from '../format.ts'
import { outputFile } from '../output-file.ts'
import { overrideOf, repeated } from '../override.ts'
import { type Arm, compare, KD_QUESTIONS, refuseWithoutArms, resultOf } from '../study/compare.ts'
import { UsageError } from '../usage-error.ts'

interface StudyOptions extends ConnectionOptions {
  recipe: string
  seeds: string
  prompts: string
  set: string[]
  json?: string
}

/** A whole number of an option, or a message that names it. */
function count(name: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < least || value > most)
    throw new UsageError(`--${name} is "${text}"; allowed: a whole number from ${least} to ${most}`)
  return value
}

/**
 * The measurement behind a claim. One run for each training seed, all with the same prompts and noise;
 * started again, it takes what is finished from the cache.
 */
export function registerStudy(program: Command): void {
  const study = program.command('study').description('measure over several training seeds, with intervals')

  withConnection(
    study
      .command('kd')
      .description('does distillation help? students with and without it, over several training seeds'),
  )
    .option('--recipe <name>', 'a preset with the arms of the study', 'tiny-study')
    .option('--seeds <count>', 'training seeds 0, 1, ...; at least 3 for a claim', '3')
    .option('--prompts <count>', 'prompts of each of the six tags', '100')
    .option(
      '--set <path=value>',
      'override a value of the recipe in every run; may be repeated',
      repeated,
      [],
    )
    .option('--json <file>', 'write the result as JSON too')
    .action(kd)
}

async function kd(options: StudyOptions): Promise<void> {
  const seeds = count('seeds', options.seeds, 2, 100)
  const prompts = count('prompts', options.prompts, 1, 1000)
  const json = options.json === undefined ? null : outputFile('--json', options.json)
  const client = connect(options)
  const recipe = await client.get(`/v1/recipes/${encodeURIComponent(options.recipe)}`, Recipe)
  refuseWithoutArms(recipe)
  const line = (text: string): boolean => stdout.write(`${text}\n`)
  await registerAssets(client, join(repositoryRoot, 'snapshots'), line)

  const protocols = recipe.stages.flatMap(({ name, spec }) =>
    spec.kind === 'evaluate'
      ? spec.protocols.map((_, index) => [`${name}.protocols.${index}.prompts_per_tag`, prompts])
      : [],
  )
  const overrides = { ...Object.fromEntries(protocols), ...Object.fromEntries(options.set.map(overrideOf)) }
  const submitted: RunView[] = []
  for (let seed = 0; seed < seeds; seed++) {
    const label = `study kd, seed ${seed}`
    const body = { recipe: options.recipe, overrides: { ...overrides, seed }, label }
    submitted.push(await client.post('/v1/runs', RunView, body))
    line(`seed ${seed}: run ${submitted.at(-1)?.id}`)
  }
  const runs: RunView[] = []
  for (const { id } of submitted) runs.push(await follow(client, id, stdout))
  const lost = runs.filter((run) => run.state !== 'succeeded')
  if (lost.length > 0)
    throw new UsageError(
      `${lost.map(({ id, state }) => `run ${id} ${state}`).join(', ')}; runs retry ID, then start the study again`,
    )

  const answers = KD_QUESTIONS.map((question) => ({ ...question, answer: compare(runs, question) }))
  // First to the screen: a file that cannot be written must not cost the answer.
  line(`\n${scoreTable(runs)}\n\n${differenceTable(answers)}`)
  if (json !== null)
    writeFileSync(
      json,
      `${JSON.stringify({ recipe: options.recipe, overrides, runs: runs.map(({ id }) => id), scores: scores(runs), differences: answers }, null, 2)}\n`,
    )
}

const named = ({ role, steps, guidance }: Arm): string =>
  `${role}@${steps}${guidance === undefined ? '' : ` guidance ${guidance}`}`

/** Every arm that all runs have: overall and held-out score by seed. */
function scores(runs: RunView[]): (Arm & { overall: number[]; held_out: number[] })[] {
  const first = runs[0]?.stages.flatMap((stage) => stage.result?.evaluations ?? []) ?? []
  return first.map(({ role, protocol: { steps, guidance_scale: guidance } }) => {
    const arm = { role, steps, guidance }
    const found = runs.map((run) => resultOf(run, arm))
    return {
      ...arm,
      overall: found.map((result) => result?.overall ?? Number.NaN),
      held_out: found.map((result) => result?.held_out?.score ?? Number.NaN),
    }
  })
}

const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

function scoreTable(runs: RunView[]): string {
  const rows = scores(runs).map((arm): Cell[] => [
    named(arm),
    mean(arm.overall).toFixed(3),
    arm.overall.map((value) => value.toFixed(3)).join(' '),
    mean(arm.held_out).toFixed(3),
  ])
  return `Shapes score (GenEval's rules on the shapes detector; not GenEval):\n${table(['model', 'mean', 'by seed', 'held-out'], rows)}`
}

function differenceTable(
  answers: ((typeof KD_QUESTIONS)[number] & { answer: ReturnType<typeof compare> })[],
): string {
  const rows = answers.flatMap(({ first, second, answer }): Cell[][] =>
    answer === null
      ? []
      : [
          [
            `${named(first)} - ${named(second)}`,
            signed(answer.difference, 3),
            `[${answer.interval.map((end) => signed(end, 3)).join(', ')}]`,
            answer.verdict,
          ],
        ],
  )
  return `Differences, 95 % intervals over training seeds and prompts:\n${table(['arms', 'difference', 'interval', 'verdict'], rows)}`
}
