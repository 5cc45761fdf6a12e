import { z } from 'zod'
import { PythonError, runPython } from '../python.ts'
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
  try {
    return answer.parse(JSON.parse(runPython('limbeck.models', argv, 300_000)))
  } catch (error) {
    if (error instanceof PythonError && error.status === 2) throw new UsageError(error.stderr.trim(), 2)
    throw error
  }
}
