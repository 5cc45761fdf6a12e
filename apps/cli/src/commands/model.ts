import { stdout } from 'node:process'
import type { Command } from 'commander'
import { type Cell, signed, table } from '../format.ts'
import { Ablation, askModels, type Change, Description } from '../model/costs.ts'
import { repeated } from '../override.ts'

interface DescribeOptions {
  latentSize?: string
  textTokens?: string
  set: string[]
  json?: true
}

/** What a model costs, before any run; needs no server. */
export function registerModel(program: Command): void {
  const model = program.command('model').description('parameters and multiply-accumulates of models')

  model
    .command('describe <preset>')
    .description('parameters and MACs by stage, of one forward for one image (an unknown preset lists them)')
    .option('--latent-size <edge>', "latent edge, instead of the preset's")
    .option('--text-tokens <count>', "tokens of text, instead of the preset's")
    .option(
      '--set <path=value>',
      'change the configuration, e.g. attention=mha or stages.1.heads=4; may be repeated',
      repeated,
      [],
    )
    .option('--json', 'print JSON')
    .action((preset: string, options: DescribeOptions) => {
      const { latentSize, textTokens, set, json } = options
      const found = askModels(
        [
          'describe',
          ...(latentSize === undefined ? [] : [`--latent-size=${latentSize}`]),
          ...(textTokens === undefined ? [] : [`--text-tokens=${textTokens}`]),
          ...set.map((override) => `--set=${override}`),
          '--',
          preset,
        ],
        Description,
      )
      stdout.write(json ? `${JSON.stringify(found, null, 2)}\n` : `${described(found, set)}\n`)
    })

  model
    .command('ablation')
    .description("SnapGen's design path step by step: parameters, MACs, and the changes beside the reported")
    .option('--json', 'print JSON')
    .action(({ json }: { json?: true }) => {
      const found = askModels(['ablation'], Ablation)
      stdout.write(json ? `${JSON.stringify(found, null, 2)}\n` : `${designPath(found)}\n`)
    })
}

const GIGA = 1e9
const whole = (value: number): string => value.toLocaleString('en-US')

const input = ({ latent_size, text_tokens }: { latent_size: number; text_tokens: number | null }): string =>
  `latent ${latent_size}x${latent_size}${text_tokens === null ? '' : `, ${text_tokens} text tokens`}`

function described(model: Description, set: readonly string[]): string {
  const [unit, size] = model.macs < GIGA ? ['M', 1e6] : ['G', GIGA]
  const percent = (part: number, of: number): string => `${((100 * part) / of).toFixed(1)} %`
  const rows = [...model.stages, { ...model, name: 'total' }].map((stage): Cell[] => [
    stage.name,
    whole(stage.parameters),
    percent(stage.parameters, model.parameters),
    (stage.macs / size).toFixed(2),
    percent(stage.macs, model.macs),
  ])
  const figures = ['parameters', 'share', `MACs (${unit})`, 'share']
  const changed = set.length === 0 ? '' : `, with ${set.join(', ')}`
  return `${model.name}${changed}: ${input(model)}\n\n${table(['stage', ...figures], rows, figures)}`
}

const figure = (value: number | null | undefined, digits: number): Cell =>
  value == null ? null : signed(value, digits)

/** Counted, reported (in whole percent) and their difference. */
const columns = (change: Change | null): Cell[] => [
  figure(change?.counted, 1),
  figure(change?.reported, 0),
  figure(change?.difference, 1),
]

function designPath(ablation: Ablation): string {
  const rows = ablation.steps.map((step): Cell[] => [
    step.name,
    (step.parameters / 1e6).toFixed(1),
    (step.macs / GIGA).toFixed(1),
    step.against,
    ...columns(step.parameters_change),
    ...columns(step.macs_change),
  ])
  const counts = ['parameters (M)', 'MACs (G)']
  const changes = ['parameters %', 'reported', 'difference', 'MACs %', 'reported', 'difference']
  const header = ['step', ...counts, 'against', ...changes]
  return `${input(ablation)}; changes in percent, differences in points\n\n${table(header, rows, [...counts, ...changes])}`
}
