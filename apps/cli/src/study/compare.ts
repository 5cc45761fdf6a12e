import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { EvaluationResult, Recipe, RunView } from '@limbeck/contracts'
import { z } from 'zod'
import { runPython } from '../python.ts'
import { UsageError } from '../usage-error.ts'

/** One arm: a role of the recipe, judged at so many steps; with a guidance where it is judged at several. */
export interface Arm {
  role: string
  steps: number
  guidance?: number
}

/** First arm minus second. `across`: steps or guidance differ between them, prompts and noise do not. */
export interface Question {
  first: Arm
  second: Arm
  across: boolean
}

/** The claims that the study of knowledge distillation is about (issue 4). */
export const KD_QUESTIONS: readonly Question[] = [
  { first: { role: 'distilled', steps: 28 }, second: { role: 'control_steps', steps: 28 }, across: false },
  { first: { role: 'distilled', steps: 28 }, second: { role: 'control', steps: 28 }, across: false },
  ...[4, 8].flatMap((steps): Question[] => [
    { first: { role: 'few_step', steps }, second: { role: 'kd_only', steps }, across: false },
    {
      first: { role: 'few_step', steps },
      second: { role: 'distilled', steps, guidance: 2 },
      across: true,
    },
    {
      first: { role: 'few_step', steps },
      second: { role: 'distilled', steps, guidance: 1 },
      across: false,
    },
  ]),
  { first: { role: 'few_step', steps: 4 }, second: { role: 'distilled', steps: 28 }, across: true },
]

/** Before an hour of training: the first question needs both of its arms. */
export function refuseWithoutArms({ name, stages }: Recipe): void {
  const judged = stages.flatMap(({ spec }) => (spec.kind === 'evaluate' ? [spec.role] : []))
  const needed = KD_QUESTIONS.slice(0, 1).flatMap(({ first, second }) => [first.role, second.role])
  const missing = needed.filter((role) => !judged.some((found) => found === role))
  if (missing.length > 0)
    throw new UsageError(
      `recipe ${name} judges no ${missing.join(' and no ')}; it judges: ${judged.join(', ') || 'nothing'}`,
    )
}

export const Difference = z.strictObject({
  difference: z.number(),
  interval: z.tuple([z.number(), z.number()]),
  verdict: z.enum(['better', 'worse', 'no difference shown']),
  by_seed: z.array(z.number()),
  standard_error_seeds: z.number(),
  standard_error_prompts: z.number(),
  images: z.int(),
})
export type Difference = z.infer<typeof Difference>

/** The result of an arm in a run; null where the run has none. */
export function resultOf(run: RunView, { role, steps, guidance }: Arm): EvaluationResult | null {
  const results = run.stages.flatMap((stage) => stage.result?.evaluations ?? [])
  return (
    results.find(
      (result) =>
        result.role === role &&
        result.protocol.steps === steps &&
        (guidance === undefined || result.protocol.guidance_scale === guidance),
    ) ?? null
  )
}

/** Null where an arm lacks a result in some run: a comparison over fewer seeds would be another one. */
export function compare(runs: readonly RunView[], { first, second, across }: Question): Difference | null {
  const arms = [first, second].map((arm) => runs.map((run) => resultOf(run, arm)))
  if (arms.flat().includes(null)) return null
  const folder = mkdtempSync(join(tmpdir(), 'limbeck-study-'))
  try {
    const files = arms.map((results, place) => {
      const file = join(folder, `${place}.json`)
      writeFileSync(file, JSON.stringify(results))
      return file
    })
    const flags = across ? ['--across-sampling'] : []
    const answer = runPython('limbeck.evaluation', ['paired', ...files, ...flags], 60_000)
    return Difference.parse(JSON.parse(answer))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
