import { type Overrides, Recipe } from '@limbeck/contracts'
import type { z } from 'zod'
import { fail, ok, type Result } from './result.ts'

/** One thing that is wrong with a recipe or an override. */
export interface RecipeIssue {
  /** Dotted path from the stage name, or the override key. */
  path: string
  /** What was found and what is allowed. */
  message: string
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** `distill.training.steps` is a path from a stage's name into its spec; `model.attention` may go through a parameter. */
function targetsOf(recipe: Recipe, key: string): Result<string[], string> {
  const [head = '', ...rest] = key.split('.')
  const parameter = recipe.parameters[head]
  if (parameter) return ok(parameter.targets.map((target) => [target, ...rest].join('.')))
  if (recipe.stages.some((stage) => stage.name === head)) return ok([key])
  const allowed = [...Object.keys(recipe.parameters), ...recipe.stages.map((stage) => stage.name)].sort()
  return fail(
    `"${head}" is neither a parameter nor a stage of ${recipe.name}; there are: ${allowed.join(', ')}`,
  )
}

/** Writes a value that stands there already: an override never adds a key. */
function write(recipe: Recipe, target: string, value: unknown): string | null {
  const [name, ...path] = target.split('.')
  const last = path.pop()
  const stage = recipe.stages.find((candidate) => candidate.name === name)
  if (!stage || last === undefined) return `"${target}" does not lead into a stage's spec`
  let place: unknown = stage.spec
  for (const [depth, key] of [...path, last].entries()) {
    if (Array.isArray(place) ? !(Number(key) in place) : !(isObject(place) && key in place)) {
      const keys = isObject(place)
        ? Object.keys(place).join(', ')
        : Array.isArray(place)
          ? `0 to ${place.length - 1}`
          : `nothing: it is ${JSON.stringify(place)}`
      return `"${[name, ...path, last].slice(0, depth + 2).join('.')}" does not exist; allowed there: ${keys}`
    }
    if (depth < path.length) place = (place as Record<string, unknown>)[key]
  }
  ;(place as Record<string, unknown>)[last] = value
  return null
}

export const zodIssues = (error: z.ZodError, prefix = ''): RecipeIssue[] =>
  error.issues.map((issue) => ({
    path: [prefix, ...issue.path.map(String)].filter(Boolean).join('.'),
    message: issue.message,
  }))

/** The recipe with its overrides, complete after defaults and valid, or everything that is wrong. */
export function applyOverrides(recipe: Recipe, overrides: Overrides): Result<Recipe, RecipeIssue[]> {
  const changed = structuredClone(recipe)
  const issues: RecipeIssue[] = []
  for (const [key, value] of Object.entries(overrides)) {
    const targets = targetsOf(changed, key)
    if (!targets.ok) {
      issues.push({ path: key, message: targets.error })
      continue
    }
    for (const target of targets.value) {
      const problem = write(changed, target, value)
      if (problem) issues.push({ path: key, message: problem })
    }
  }
  if (issues.length > 0) return fail(issues)
  const parsed = Recipe.safeParse(changed)
  return parsed.success ? ok(parsed.data) : fail(namedIssues(changed, zodIssues(parsed.error)))
}

/** `stages.3.spec.training.steps` becomes `distill.training.steps`: the words of the recipe. */
function namedIssues(recipe: Recipe, issues: RecipeIssue[]): RecipeIssue[] {
  return issues.map((issue) => {
    const [, index, rest] = /^stages\.(\d+)(?:\.spec)?(?:\.(.*))?$/.exec(issue.path) ?? []
    const stage = index === undefined ? undefined : recipe.stages[Number(index)]
    return stage ? { ...issue, path: [stage.name, rest].filter(Boolean).join('.') } : issue
  })
}
