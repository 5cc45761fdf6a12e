import type {
  EvaluationResult,
  GateResult,
  ModelVersionView,
  PromotionView,
  RunView,
  StageView,
} from '@limbeck/contracts'
import { bytes, type Cell, duration, table } from '../format.ts'

const ROLES = ['teacher', 'control_steps', 'control', 'distilled', 'few_step'] as const
type Role = (typeof ROLES)[number]

interface Score {
  overall: number
  interval: [number, number]
  per_tag: Record<string, number>
  held_out: number | null
}

/** What `--json FILE` holds: the same that the table shows, for programs. */
export interface DemoSummary {
  run: string
  state: string
  seconds: number
  stages: {
    kind: string
    name: string
    state: string
    attempts: number
    seconds: number | null
    cached: boolean
  }[]
  models: { role: Role; parameters: number; scores: Record<string, Score> }[]
  export: { package: string; bytes: number; psnr_db: number } | null
  gates: { name: string; measured: number | null; required: string; passed: boolean }[]
  release: { alias: string; version: number; manifest: string } | null
  dashboard: string
  grid: string | null
}

const scoreOf = (evaluation: EvaluationResult): Score => ({
  overall: evaluation.overall,
  interval: evaluation.interval,
  per_tag: Object.fromEntries(Object.entries(evaluation.per_tag).map(([tag, { score }]) => [tag, score])),
  held_out: evaluation.held_out?.score ?? null,
})

function models(stages: StageView[]): DemoSummary['models'] {
  const evaluations = stages.flatMap((stage) => stage.result?.evaluations ?? [])
  return ROLES.flatMap((role) => {
    const own = evaluations.filter((evaluation) => evaluation.role === role)
    const [first] = own
    if (!first) return []
    return [
      {
        role,
        parameters: first.parameters,
        scores: Object.fromEntries(
          own.map((evaluation) => [String(evaluation.protocol.steps), scoreOf(evaluation)]),
        ),
      },
    ]
  })
}

export interface SummaryInput {
  run: RunView
  model: ModelVersionView | null
  promotion: PromotionView | null
  /** Folder that the packages were written to. */
  packagePath: string | null
  packageBytes: number
  gridPath: string | null
  dashboard: string
}

export function summarise({
  run,
  model,
  promotion,
  packagePath,
  packageBytes,
  gridPath,
  dashboard,
}: SummaryInput): DemoSummary {
  const exported = run.stages.find((stage) => stage.kind === 'export_coreml')?.result?.metrics
  const end = run.ended_at === null ? Date.now() : Date.parse(run.ended_at)
  return {
    run: run.id,
    state: run.state,
    seconds: (end - Date.parse(run.created_at)) / 1000,
    stages: run.stages.map(({ kind, name, state, attempts, seconds, cached }) => ({
      kind,
      name,
      state,
      attempts: attempts.length,
      seconds,
      cached,
    })),
    models: models(run.stages),
    export:
      packagePath === null || exported?.unet_psnr_db === undefined
        ? null
        : { package: packagePath, bytes: packageBytes, psnr_db: exported.unet_psnr_db },
    gates: (model?.gates ?? []).map(({ name, measured, required, passed }: GateResult) => ({
      name,
      measured,
      required,
      passed,
    })),
    release:
      promotion === null || model === null
        ? null
        : { alias: promotion.alias, version: model.version, manifest: promotion.manifest },
    dashboard,
    grid: gridPath,
  }
}

const percent = (value: number): string => value.toFixed(3)

/** The tables that the demo ends with. `comparison`: false prints no student beside a control. */
export function summaryText(summary: DemoSummary, comparison: boolean): string {
  const sections = [`Run ${summary.run} ${summary.state} in ${duration(summary.seconds)}.`]
  if (comparison && summary.models.length > 0) {
    const tags = Object.keys(Object.values(summary.models[0]?.scores ?? {})[0]?.per_tag ?? {})
    const rows = summary.models.flatMap(({ role, parameters, scores }) =>
      Object.entries(scores)
        .sort(([a], [b]) => Number(b) - Number(a))
        .map(([steps, score]): Cell[] => [
          role,
          Number(steps),
          `${(parameters / 1e6).toFixed(2)}M`,
          `${percent(score.overall)} [${score.interval.map(percent).join(', ')}]`,
          ...tags.map((tag) => (score.per_tag[tag] === undefined ? null : score.per_tag[tag].toFixed(2))),
          score.held_out === null ? null : score.held_out.toFixed(2),
        ]),
    )
    sections.push(
      `Shapes score (GenEval's rules on the shapes detector; not GenEval), 95 % intervals:\n${table(['model', 'steps', 'size', 'overall', ...tags, 'held-out'], rows)}`,
    )
  }
  if (summary.export) {
    sections.push(
      `Core ML: ${summary.export.package} (${bytes(summary.export.bytes)}), UNet ${summary.export.psnr_db.toFixed(1)} dB against torch, run from the file`,
    )
  }
  if (summary.gates.length > 0) {
    sections.push(
      table(
        ['gate', 'measured', 'required', 'passed'],
        summary.gates.map((gate) => [
          gate.name,
          gate.measured === null ? null : Number(gate.measured.toPrecision(4)),
          gate.required,
          gate.passed ? 'yes' : 'NO',
        ]),
      ),
    )
  }
  sections.push(
    summary.release
      ? `Promoted: ${summary.release.alias} is version ${summary.release.version} (manifest ${summary.release.manifest.slice(0, 12)})`
      : 'Nothing was promoted.',
  )
  if (summary.grid) sections.push(`Samples: ${summary.grid}`)
  sections.push(`Dashboard: ${summary.dashboard}`)
  return sections.join('\n\n')
}
