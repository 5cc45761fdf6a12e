import type { Recipe, RecipeStage, StageSpec } from '@limbeck/contracts'
import { canonicalJson } from './canonical-json.ts'
import type { RecipeIssue } from './overrides.ts'

type Spec<K extends StageSpec['kind']> = Extract<StageSpec, { kind: K }>
type Model = Spec<'pretrain'>['model']
type StudentText = Spec<'extract_features'>['student_text']
type Training = Spec<'pretrain'>['training']

/** What is certain about a denoiser before anything has run. */
interface Denoiser {
  model: Model
  text: 'student' | 'teacher'
  /** What its lineage was trained on; null where that is an asset. */
  studentText: StudentText | null
  /** Step times by number of steps, of a few-step model. */
  grids: Record<string, number[]> | null
}

/**
 * Stages of a recipe that cannot work together, found before a GPU is taken: sizes, text, step grids. Judges only
 * what the recipe itself tells; what an asset holds is judged by the worker before the first step.
 */
export function fitIssues(recipe: Recipe): RecipeIssue[] {
  const stages = new Map(recipe.stages.map((stage) => [stage.name, stage]))
  return recipe.stages
    .flatMap((stage) => [
      ...trainingIssues(stage),
      ...textIssues(stages, stage),
      ...parentIssues(stages, stage),
      ...gridIssues(stages, stage),
      ...phaseIssues(stage),
    ])
    .concat(latentIssues(stages))
}

type Stages = Map<string, RecipeStage>

function source(stages: Stages, stage: RecipeStage, input: string): RecipeStage | undefined {
  const reference = stage.inputs[input]
  return reference?.startsWith('stage:') ? stages.get(reference.slice('stage:'.length)) : undefined
}

function featuresOf(stages: Stages, stage: RecipeStage): Spec<'extract_features'> | undefined {
  const spec = source(stages, stage, 'features')?.spec
  return spec?.kind === 'extract_features' ? spec : undefined
}

/** The denoiser that a stage writes; `depth` ends what a cycle would not. */
function denoiserOf(
  stages: Stages,
  stage: RecipeStage | undefined,
  depth = stages.size,
): Denoiser | undefined {
  if (!stage || depth === 0) return undefined
  const { spec } = stage
  if (spec.kind === 'pretrain')
    return {
      model: spec.model,
      text: spec.text,
      studentText: featuresOf(stages, stage)?.student_text ?? null,
      grids: null,
    }
  const parent = (input: string) => denoiserOf(stages, source(stages, stage, input), depth - 1)
  if (spec.kind === 'distill') return parent('base')
  if (spec.kind !== 'distill_steps') return undefined
  const student = parent('student')
  return student && { ...student, grids: spec.grids }
}

/** Channels of a token, as the encoder's configuration fixes them. */
const textWidth = (text: StudentText): number => text.width

const modelTextWidth = (model: Model): number =>
  model.architecture === 'unet' ? model.context_width : model.joint_width

function trainingIssues(stage: RecipeStage): RecipeIssue[] {
  const training: Training | undefined = 'training' in stage.spec ? stage.spec.training : undefined
  if (!training) return []
  const issues: RecipeIssue[] = []
  if (training.micro_batch !== 0 && training.batch_size % training.micro_batch !== 0)
    issues.push({
      path: `${stage.name}.training.micro_batch`,
      message: `${training.micro_batch} does not divide batch_size ${training.batch_size}`,
    })
  // A UNet and a transformer repeat blocks; neither kind of decoder does.
  const { kind } = stage.spec
  if (kind === 'distill_decoder' || kind === 'pretrain_autoencoder')
    for (const option of ['compile_blocks', 'activation_checkpointing'] as const)
      if (training[option])
        issues.push({
          path: `${stage.name}.training.${option}`,
          message: `a ${kind} stage has no repeated blocks; it must be false`,
        })
  return issues
}

/** What a denoiser reads is as wide as what the features hold, and is there at all. */
function textIssues(stages: Stages, stage: RecipeStage): RecipeIssue[] {
  const { spec } = stage
  const features = featuresOf(stages, stage)
  const issues: RecipeIssue[] = []
  const wantsTeacher =
    spec.kind === 'distill' || spec.kind === 'distill_steps'
      ? spec.teacher_text === 'cached'
      : spec.kind === 'pretrain' && spec.text === 'teacher'
  if (features && wantsTeacher && !features.teacher_text)
    issues.push({
      path: `${stage.name}.inputs.features`,
      message: "reads the teacher's text, and its features are extracted with teacher_text false",
    })
  if (features && spec.kind === 'pretrain' && spec.text === 'student') {
    const [needs, holds] = [modelTextWidth(spec.model), textWidth(features.student_text)]
    if (needs !== holds)
      issues.push({
        path: `${stage.name}.model`,
        message: `reads text ${needs} wide, its features hold student text ${holds} wide`,
      })
  }
  const base = denoiserOf(stages, source(stages, stage, spec.kind === 'distill' ? 'base' : 'student'))
  const chained = spec.kind === 'distill' || spec.kind === 'distill_steps'
  if (features && chained && base?.text === 'student' && base.studentText) {
    const [here, there] = [canonicalJson(features.student_text), canonicalJson(base.studentText)]
    if (here !== there)
      issues.push({
        path: `${stage.name}.inputs.features`,
        message: `holds student text of ${here}; the model was trained on ${there}`,
      })
  }
  if (spec.kind === 'evaluate' && spec.text === 'student' && spec.student_text === null)
    issues.push({
      path: `${stage.name}.student_text`,
      message: "text is 'student': it must say which encoder",
    })
  const asked = spec.kind === 'evaluate' || spec.kind === 'export_coreml' ? spec.student_text : null
  const trained = denoiserOf(stages, source(stages, stage, 'model'))
  if (asked && trained?.text === 'student' && trained.studentText) {
    if (canonicalJson(asked) !== canonicalJson(trained.studentText))
      issues.push({
        path: `${stage.name}.student_text`,
        message: `is ${canonicalJson(asked)}; the model was trained on ${canonicalJson(trained.studentText)}`,
      })
  }
  return issues
}

/** A stage that goes on from a model has that model, save for a UNet's resolution. */
function parentIssues(stages: Stages, stage: RecipeStage): RecipeIssue[] {
  const { spec } = stage
  const parent = denoiserOf(stages, source(stages, stage, 'initial'))
  if (spec.kind !== 'pretrain' || !parent) return []
  const own: Record<string, unknown> = { ...spec.model }
  const theirs: Record<string, unknown> = { ...parent.model }
  const differing = [...new Set([...Object.keys(own), ...Object.keys(theirs)])].filter(
    (key) =>
      canonicalJson(own[key] ?? null) !== canonicalJson(theirs[key] ?? null) &&
      !(key === 'latent_size' && spec.model.architecture === 'unet'),
  )
  return differing.map((key) => ({
    path: `${stage.name}.model.${key}`,
    message: `is ${canonicalJson(own[key] ?? null)}, the initial model's is ${canonicalJson(theirs[key] ?? null)}`,
  }))
}

/** Everything that reads one stage's features works on the same latents. */
function latentIssues(stages: Stages): RecipeIssue[] {
  const known = new Map<string, { stage: string; value: number }>()
  const issues: RecipeIssue[] = []
  for (const stage of stages.values()) {
    if (stage.spec.kind !== 'extract_features') continue
    for (const [what, value] of Object.entries(extractedLatent(stages, stage)))
      known.set(`stage:${stage.name} ${what}`, { stage: stage.name, value })
  }
  for (const stage of stages.values()) {
    const reference = stage.inputs.features
    const shape = latentOf(stages, stage)
    if (reference === undefined || !shape) continue
    for (const [what, value] of Object.entries(shape)) {
      const key = `${reference} ${what}`
      const earlier = known.get(key)
      if (!earlier) known.set(key, { stage: stage.name, value })
      else if (earlier.value !== value)
        issues.push({
          path: `${stage.name}.inputs.features`,
          message: `works on latents of ${what} ${value}, ${earlier.stage} on ${earlier.value} of the same features`,
        })
    }
  }
  return issues
}

/** By what it is called: what is certain of the latents that a stage works on. */
function latentOf(stages: Stages, stage: RecipeStage): Record<string, number> | undefined {
  if (stage.spec.kind === 'distill_decoder') return { channels: stage.spec.decoder.latent_channels }
  const made = denoiserOf(stages, stage) ?? denoiserOf(stages, source(stages, stage, 'model'))
  return made && { channels: made.model.latent_channels, edge: made.model.latent_size }
}

/** Latents as extraction makes them, where the recipe itself trains the autoencoder and draws the pictures. */
function extractedLatent(stages: Stages, extract: RecipeStage): Record<string, number> {
  const autoencoder = source(stages, extract, 'snapshot')?.spec
  const dataset = source(stages, extract, 'dataset')?.spec
  if (autoencoder?.kind !== 'pretrain_autoencoder') return {}
  const { channels, latent_channels } = autoencoder.autoencoder
  const halvings = channels.length - 1
  return {
    channels: latent_channels,
    ...(dataset?.kind === 'render_dataset' ? { edge: dataset.resolution / 2 ** halvings } : {}),
  }
}

/** A few-step model is judged on a grid that it was trained on (paper.md section 9, trap 30). */
function gridIssues(stages: Stages, stage: RecipeStage): RecipeIssue[] {
  const { spec } = stage
  if (spec.kind !== 'evaluate') return []
  const wrong = spec.protocols.flatMap(({ grid, steps }, index) =>
    grid === null || grid.length === steps
      ? []
      : [
          {
            path: `${stage.name}.protocols.${index}.grid`,
            message: `holds ${grid.length} times for ${steps} steps`,
          },
        ],
  )
  if (wrong.length > 0) return wrong
  const grids = denoiserOf(stages, source(stages, stage, 'model'))?.grids
  if (!grids) return []
  return spec.protocols.flatMap((protocol, index) => {
    const asked = protocol.grid ?? evenGrid(protocol.steps, protocol.shift)
    const known = Object.values(grids).some((grid) => sameTimes(grid, asked))
    return known
      ? []
      : [
          {
            path: `${stage.name}.protocols.${index}`,
            message: `samples on ${JSON.stringify(asked)}; the model is trained on ${JSON.stringify(grids)}`,
          },
        ]
  })
}

/** Phases say how often each distinct step time is trained. */
function phaseIssues(stage: RecipeStage): RecipeIssue[] {
  const { spec } = stage
  if (spec.kind !== 'distill_steps') return []
  const times = new Set(Object.values(spec.grids).flat()).size
  return spec.time_phases.flatMap(({ weights }, index) =>
    weights.length === times
      ? []
      : [
          {
            path: `${stage.name}.time_phases.${index}.weights`,
            message: `holds ${weights.length} weights; the grids have ${times} distinct times`,
          },
        ],
  )
}

const evenGrid = (steps: number, shift: number): number[] =>
  Array.from({ length: steps }, (_, index) => {
    const t = 1 - index / steps
    return (shift * t) / (1 + (shift - 1) * t)
  })

const sameTimes = (one: number[], other: number[]): boolean =>
  one.length === other.length &&
  one.every((time, index) => Math.abs(time - (other[index] ?? Number.NaN)) < 1e-6)
