import type { RunCreate } from '@limbeck/contracts'
import { getPreset, type Plan, planRun, type RecipeIssue } from '@limbeck/core'
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

const describe = (issues: readonly RecipeIssue[]): string => {
  const [first] = issues
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : ''
  return `${first?.path}: ${first?.message}${more}`
}
