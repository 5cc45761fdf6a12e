import type { RunCreate, RunPlan, StageSpec } from '@limbeck/contracts'
import { getPreset, type Plan, planRun, type RecipeIssue } from '@limbeck/core'
import type { z } from 'zod'
import { ProblemError } from './problem.ts'
import { unknownRecipe } from './routes/recipes.ts'

/** The plan of what was asked for. @throws ProblemError naming each path that does not fit. */
export function planSubmission({ recipe, overrides }: RunCreate): Plan {
  const base = typeof recipe === 'string' ? getPreset(recipe) : recipe
  if (!base) throw unknownRecipe(String(recipe))
  const plan = planRun(base, overrides)
  if (plan.ok) return plan.value
  const alone = planRun(base, {})
  const code = alone.ok ? 'invalid_override' : 'invalid_recipe'
  throw new ProblemError(code, describe(alone.ok ? plan.error : alone.error), {
    errors: alone.ok ? plan.error : alone.error,
  })
}

type Preview = {
  stages: Omit<z.infer<typeof RunPlan>['stages'][number], 'seconds'>[]
  issues: RecipeIssue[]
}

/** What would become of it; what does not fit is part of the answer. @throws ProblemError for an unknown preset. */
export function previewOf({ recipe, overrides }: RunCreate): Preview {
  const base = typeof recipe === 'string' ? getPreset(recipe) : recipe
  if (!base) throw unknownRecipe(String(recipe))
  const plan = planRun(base, overrides)
  if (!plan.ok) return { stages: [], issues: plan.error }
  const stages = plan.value.stages.map(({ name, kind, resource_class, spec }) => ({
    name,
    kind,
    resource_class,
    ...workOf(spec),
  }))
  return { stages, issues: [] }
}

function workOf(spec: StageSpec): { steps: number | null; images: number | null } {
  if (!('training' in spec)) return { steps: null, images: null }
  const { steps, batch_size } = spec.training
  return { steps, images: steps * batch_size }
}

const describe = (issues: readonly RecipeIssue[]): string => {
  const [first] = issues
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : ''
  return `${first?.path}: ${first?.message}${more}`
}
