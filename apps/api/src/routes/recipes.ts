import { Name, Recipe } from '@limbeck/contracts'
import { getPreset, listPresets } from '@limbeck/core'
import { z } from 'zod'
import type { ApiContext, App } from '../context.ts'
import { ProblemError } from '../problem.ts'
import { route } from '../route.ts'

const tags = ['runs']

const RecipeList = z
  .strictObject({
    recipes: z.array(
      z.strictObject({ name: Name, version: z.int(), summary: z.string(), stages: z.array(z.string()) }),
    ),
  })
  .meta({ id: 'RecipeList' })

export const unknownRecipe = (name: string): ProblemError =>
  new ProblemError(
    'unknown_recipe',
    `there is no recipe "${name}"; there are: ${listPresets()
      .map((recipe) => recipe.name)
      .join(', ')}`,
  )

export function recipeRoutes(app: App, context: ApiContext): void {
  app.get(
    '/v1/recipes',
    route(context, 'viewer', { tags, summary: 'The presets', response: { 200: RecipeList } }),
    async () => ({
      recipes: listPresets().map(({ name, version, summary, stages }) => ({
        name,
        version,
        summary,
        stages: stages.map((stage) => stage.name),
      })),
    }),
  )

  app.get(
    '/v1/recipes/:name',
    route(context, 'viewer', {
      tags,
      summary: 'A preset, complete with its defaults',
      params: z.strictObject({ name: Name }),
      response: { 200: Recipe },
    }),
    async (request) => {
      const recipe = getPreset(request.params.name)
      if (!recipe) throw new ProblemError('not_found', unknownRecipe(request.params.name).message)
      return recipe
    },
  )
}
