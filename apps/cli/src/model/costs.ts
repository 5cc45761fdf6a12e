import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { childEnvironment, loadLocalConfig, repositoryRoot } from '@limbeck/platform'
import { z } from 'zod'
import { UsageError } from '../usage-error.ts'

const name = z.string()
const cost = { parameters: z.int(), macs: z.int() }
const input = { latent_size: z.int(), text_tokens: z.int().nullable() }

/** Parameters and MACs of a model, by stage in the order of a forward. */
export const Description = z.strictObject({
  name,
  ...input,
  ...cost,
  stages: z.array(z.strictObject({ name, ...cost })),
})
export type Description = z.infer<typeof Description>

/** In percent; `difference` in points, ours minus reported. */
const Change = z.strictObject({
  counted: z.number(),
  reported: z.number().nullable(),
  difference: z.number().nullable(),
})
export type Change = z.infer<typeof Change>

export const Ablation = z.strictObject({
  ...input,
  steps: z.array(
    z.strictObject({
      name,
      ...cost,
      against: z.string().nullable(),
      parameters_change: Change.nullable(),
      macs_change: Change.nullable(),
    }),
  ),
})
export type Ablation = z.infer<typeof Ablation>

/** Models are counted where they are built, in Python; it says in one line, with status 2, what is not allowed. */
export function askModels<T>(argv: readonly string[], answer: z.ZodType<T>): T {
  const { python } = loadLocalConfig()
  const { status, stdout, stderr, error } = spawnSync(python, ['-m', 'limbeck.models', ...argv], {
    encoding: 'utf8',
    timeout: 300_000,
    env: childEnvironment({ PYTHONPATH: join(repositoryRoot, 'workers/python/src') }),
  })
  if (error) throw error
  if (status === 2) throw new UsageError(stderr.trim(), 2)
  if (status !== 0) throw new Error(`limbeck.models ended with ${status}:\n${stderr}`)
  return answer.parse(JSON.parse(stdout))
}
