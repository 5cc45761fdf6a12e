import { Name, Overrides, Recipe, StageName } from '@limbeck/contracts'
import { z } from 'zod'
import { applyOverrides, type RecipeIssue, zodIssues } from './overrides.ts'
import { fail, ok, type Result } from './result.ts'

/** A preset that differs from another in a few values, or leaves stages out. */
export const RecipeVariant = z.strictObject({
  name: Name,
  version: z.int().min(1),
  summary: z.string().max(500),
  extends: Name,
  without: z.array(StageName).default([]),
  without_gates: z.array(Name).default([]),
  overrides: Overrides.default({}),
})

/** A file of recipes/: a whole recipe, or a variant of one in `known`. */
export function resolveRecipe(
  source: unknown,
  known: (name: string) => Recipe | undefined,
): Result<Recipe, RecipeIssue[]> {
  if (typeof source !== 'object' || source === null || !('extends' in source)) {
    const recipe = Recipe.safeParse(source)
    return recipe.success ? ok(recipe.data) : fail(zodIssues(recipe.error))
  }
  const variant = RecipeVariant.safeParse(source)
  if (!variant.success) return fail(zodIssues(variant.error))
  const { name, version, summary, without, without_gates, overrides } = variant.data
  const base = known(variant.data.extends)
  if (!base) return fail([{ path: 'extends', message: `there is no recipe "${variant.data.extends}"` }])
  const missing = without.filter((stage) => !base.stages.some((candidate) => candidate.name === stage))
  if (missing.length > 0)
    return fail([{ path: 'without', message: `${base.name} has no stage ${missing.join(', ')}` }])
  const parameters = Object.fromEntries(
    Object.entries(base.parameters).map(([key, value]) => [
      key,
      { ...value, targets: value.targets.filter((target) => !without.includes(target.split('.')[0] ?? '')) },
    ]),
  )
  return applyOverrides(
    {
      ...base,
      name,
      version,
      summary,
      parameters,
      stages: base.stages.filter((stage) => !without.includes(stage.name)),
      gates: base.gates.filter((gate) => !without_gates.includes(gate.name)),
    },
    overrides,
  )
}
