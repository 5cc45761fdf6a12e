import type { Recipe } from '@limbeck/contracts'
import imagenet256 from '../../../recipes/imagenet-256.json' with { type: 'json' }
import snapgen256 from '../../../recipes/snapgen-256.json' with { type: 'json' }
import snapgen512 from '../../../recipes/snapgen-512.json' with { type: 'json' }
import snapgen1024 from '../../../recipes/snapgen-1024.json' with { type: 'json' }
import tinyShapes from '../../../recipes/tiny-shapes.json' with { type: 'json' }
import tinyShapesQuick from '../../../recipes/tiny-shapes-quick.json' with { type: 'json' }
import tinyStudy from '../../../recipes/tiny-study.json' with { type: 'json' }
import { resolveRecipe } from './recipe-variant.ts'

/** A new preset: a file in recipes/, a line here; a variant stands after what it extends. */
const SOURCES: unknown[] = [
  tinyStudy,
  tinyShapes,
  tinyShapesQuick,
  snapgen256,
  snapgen512,
  snapgen1024,
  imagenet256,
]

const presets = new Map<string, Recipe>()
for (const source of SOURCES) {
  const recipe = resolveRecipe(source, (name) => presets.get(name))
  if (!recipe.ok) {
    const { name } = source as { name?: string }
    throw new Error(
      `recipes/${name}.json: ${recipe.error.map(({ path, message }) => `${path}: ${message}`).join('; ')}`,
    )
  }
  presets.set(recipe.value.name, recipe.value)
}

export const listPresets = (): Recipe[] => [...presets.values()]
export const getPreset = (name: string): Recipe | undefined => presets.get(name)
