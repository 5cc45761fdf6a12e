import type { Overrides, Recipe, RecipeStage, StageSpec } from '@limbeck/contracts'
import { fitIssues } from './fit.ts'
import { applyOverrides, type RecipeIssue } from './overrides.ts'
import { fail, ok, type Result } from './result.ts'
import { STAGE_INPUTS } from './stage-kinds.ts'

/** A stage as it is stored: complete, with everything it waits for. */
export interface PlannedStage {
  name: string
  kind: StageSpec['kind']
  spec: StageSpec
  inputs: Record<string, string>
  /** Names of the stages that must have succeeded first, sorted. */
  needs: string[]
  resource_class: RecipeStage['resource_class']
  max_seconds: number
  stall_seconds: number
}

export interface Plan {
  /** After overrides and defaults. */
  recipe: Recipe
  stages: PlannedStage[]
  /** Names of the assets that must exist. */
  assets: string[]
}

const stageOf = (reference: string): string | null =>
  reference.startsWith('stage:') ? reference.slice(6) : null
const assetOf = (reference: string): string | null =>
  reference.startsWith('asset:') ? reference.slice(6) : null

/** Recipe and overrides -> the graph of a run, or everything that does not fit. Pure: assets are only named. */
export function planRun(recipe: Recipe, overrides: Overrides): Result<Plan, RecipeIssue[]> {
  const effective = applyOverrides(recipe, overrides)
  if (!effective.ok) return effective
  const { stages } = effective.value
  const planned = stages.map((stage) => planStage(effective.value, stage))
  const issues = [
    ...duplicateNames(stages),
    ...stages.flatMap((stage) => inputIssues(stages, stage)),
    ...referenceIssues(effective.value),
  ]
  if (issues.length === 0) issues.push(...cycleIssues(planned))
  // What does not even connect is told first: a fit of stages presumes their inputs.
  if (issues.length === 0) issues.push(...fitIssues(effective.value))
  if (issues.length > 0) return fail(issues)
  const assets = new Set(
    stages.flatMap((stage) => Object.values(stage.inputs).map(assetOf)).filter((name) => name !== null),
  )
  return ok({ recipe: effective.value, stages: planned, assets: [...assets].sort() })
}

function planStage(recipe: Recipe, stage: RecipeStage): PlannedStage {
  const read = Object.values(stage.inputs)
    .map(stageOf)
    .filter((name) => name !== null)
  const judged =
    stage.spec.kind === 'gates'
      ? recipe.stages.filter((other) => other !== stage).map((other) => other.name)
      : []
  return {
    name: stage.name,
    kind: stage.spec.kind,
    spec: stage.spec,
    inputs: stage.inputs,
    needs: [...new Set([...read, ...stage.after, ...judged])].sort(),
    resource_class: stage.spec.kind === 'gates' ? 'control' : stage.resource_class,
    max_seconds: stage.max_seconds,
    stall_seconds: stage.stall_seconds,
  }
}

function duplicateNames(stages: RecipeStage[]): RecipeIssue[] {
  const names = stages.map((stage) => stage.name)
  return [...new Set(names.filter((name, index) => names.indexOf(name) !== index))].map((name) => ({
    path: name,
    message: 'two stages have this name; names must differ',
  }))
}

function inputIssues(stages: RecipeStage[], stage: RecipeStage): RecipeIssue[] {
  const { kind } = stage.spec
  const rules = STAGE_INPUTS[kind]
  const issues: RecipeIssue[] = []
  const add = (path: string, message: string) => issues.push({ path: `${stage.name}.${path}`, message })
  for (const [input, rule] of Object.entries(rules)) {
    if (rule.required && !(input in stage.inputs))
      add(`inputs.${input}`, `${kind} needs this input: ${sources(rule)}`)
  }
  for (const [input, reference] of Object.entries(stage.inputs)) {
    const rule = rules[input]
    if (!rule) {
      add(`inputs.${input}`, `${kind} has no such input; it has: ${Object.keys(rules).join(', ') || 'none'}`)
      continue
    }
    const name = stageOf(reference)
    if (name === null) {
      if (rule.assets.length === 0)
        add(`inputs.${input}`, `"${reference}" is an asset; allowed: ${sources(rule)}`)
      continue
    }
    const source = stages.find((candidate) => candidate.name === name)
    if (!source)
      add(
        `inputs.${input}`,
        `there is no stage "${name}"; there are: ${stages.map((other) => other.name).join(', ')}`,
      )
    else if (!rule.from.includes(source.spec.kind))
      add(`inputs.${input}`, `"${name}" is a ${source.spec.kind}; allowed: ${sources(rule)}`)
  }
  for (const name of stage.after) {
    if (!stages.some((other) => other.name === name)) add('after', `there is no stage "${name}"`)
  }
  if (stage.spec.kind === 'evaluate' && (stage.spec.component === null) !== 'model' in stage.inputs) {
    add('inputs.model', 'evaluate takes either a model or a component of the snapshot: give one of the two')
  }
  if (
    stage.spec.kind === 'distill_decoder' &&
    stage.spec.lpips_weight > 0 &&
    !('perceptual' in stage.inputs)
  ) {
    add('inputs.perceptual', 'lpips_weight is above 0: distill_decoder needs the snapshot that holds lpips/')
  }
  return issues
}

const sources = (rule: (typeof STAGE_INPUTS)[keyof typeof STAGE_INPUTS][string]): string =>
  [...rule.from.map((kind) => `a ${kind} stage`), ...rule.assets.map((asset) => `a ${asset} asset`)].join(
    ' or ',
  )

function referenceIssues(recipe: Recipe): RecipeIssue[] {
  const kinds = new Map(recipe.stages.map((stage) => [stage.name, stage.spec.kind]))
  const issues: RecipeIssue[] = []
  for (const gate of recipe.gates) {
    for (const metric of [gate.metric, gate.baseline]) {
      if (metric && !kinds.has(metric.stage))
        issues.push({ path: `gates.${gate.name}`, message: `there is no stage "${metric.stage}"` })
    }
  }
  const wanted = {
    model: ['pretrain', 'distill', 'distill_steps'],
    decoder: ['distill_decoder'],
    package: ['export_coreml'],
  }
  for (const [part, name] of Object.entries(recipe.release ?? {})) {
    const allowed = wanted[part as keyof typeof wanted]
    const kind = kinds.get(name)
    if (!kind || !allowed.includes(kind))
      issues.push({
        path: `release.${part}`,
        message: `"${name}" is ${kind ?? 'no stage'}; must be ${allowed.join(' or ')}`,
      })
  }
  const gates = recipe.stages.filter((stage) => stage.spec.kind === 'gates')
  if (gates.length > 1) issues.push({ path: 'stages', message: 'a recipe has at most one gates stage' })
  if (recipe.gates.length > 0 && (gates.length === 0 || recipe.release === null)) {
    issues.push({ path: 'gates', message: 'gates need a stage of kind gates and a release' })
  }
  return issues
}

/** Kahn's order: whatever cannot be ordered is in a cycle or behind one. */
function cycleIssues(stages: PlannedStage[]): RecipeIssue[] {
  const open = new Map(stages.map((stage) => [stage.name, new Set(stage.needs)]))
  for (let ready = next(open); ready !== undefined; ready = next(open)) {
    open.delete(ready)
    for (const needs of open.values()) needs.delete(ready)
  }
  return [...open.keys()].map((name) => ({
    path: name,
    message: 'this stage waits for itself through its inputs',
  }))
}

const next = (open: Map<string, Set<string>>): string | undefined =>
  [...open].find(([, needs]) => needs.size === 0)?.[0]
