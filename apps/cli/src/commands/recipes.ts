import { stdout } from 'node:process'
import { getPreset, listPresets } from '@limbeck/core'
import type { Command } from 'commander'
import { table } from '../format.ts'
import { UsageError } from '../usage-error.ts'

/** Presets of this checkout; they need no server. */
export function registerRecipes(program: Command): void {
  const recipes = program.command('recipes').description('presets')
  recipes
    .command('list')
    .description('names and what they are for')
    .action(() => {
      const rows = listPresets().map((recipe) => [
        recipe.name,
        recipe.version,
        recipe.stages.length,
        recipe.summary,
      ])
      stdout.write(`${table(['recipe', 'version', 'stages', ''], rows)}\n`)
    })
  recipes
    .command('show <name>')
    .description('the whole recipe as JSON: what may be overridden')
    .action((name: string) => {
      const recipe = getPreset(name)
      if (!recipe)
        throw new UsageError(
          `there is no preset "${name}"; there are: ${listPresets()
            .map((each) => each.name)
            .join(', ')}`,
        )
      stdout.write(`${JSON.stringify(recipe, null, 2)}\n`)
    })
}
