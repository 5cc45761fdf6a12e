import { z } from 'zod'
import { PythonError, runPython } from './python.ts'
import { UsageError } from './usage-error.ts'

const Interval = z.tuple([z.number(), z.number()])
const Difference = z.strictObject({ difference: z.number(), interval: Interval })

/** GenEval scores of a file; without its list of images, which `--json` writes. */
export const GenEvalScores = z.strictObject({
  scorer: z.string(),
  benchmark: z.string(),
  detector: z.string().nullable(),
  tasks: z.record(z.string(), z.strictObject({ score: z.number(), images: z.int(), interval: Interval })),
  overall: z.number(),
  overall_interval: Interval,
  prompt_any_accuracy: z.number(),
  warnings: z.array(z.string()),
  paired: z
    .strictObject({
      tasks: z.record(z.string(), Difference),
      overall: z.number(),
      overall_interval: Interval,
    })
    .optional(),
})
export type GenEvalScores = z.infer<typeof GenEvalScores>

/** Distance of two sets of features; `kid` and its details where both files hold the features themselves. */
export const FrechetReport = z.strictObject({
  frechet_distance: z.number(),
  n: z.int(),
  kid: z.number().nullable(),
  label: z.string(),
  n_first: z.int(),
  n_second: z.int(),
  width: z.int(),
  rank_deficient: z.boolean(),
  kid_details: z
    .strictObject({
      mean: z.number(),
      std: z.number().nullable(),
      subsets: z.int(),
      subset_size: z.int(),
    })
    .nullable(),
  unstated: z.array(z.string()),
  extractor: z.string().nullable(),
  resize: z.string().nullable(),
  dataset: z.string().nullable(),
})
export type FrechetReport = z.infer<typeof FrechetReport>

const Means = z.record(z.string(), z.strictObject({ score: z.number(), answers: z.int() }))
const Dpg = z.strictObject({
  scorer: z.string(),
  score: z.number(),
  interval: Interval,
  prompts: z.int(),
  images: z.int(),
  categories: Means,
  detailed: Means,
  dropped: z.array(z.strictObject({ item_id: z.string(), reason: z.string() })),
})
export type Dpg = z.infer<typeof Dpg>

/** Each mode has a score or a reason why it has none. */
export const DpgReport = z.strictObject({
  strict: Dpg.optional(),
  compat: Dpg.optional(),
  refused: z.record(z.string(), z.string()),
})
export type DpgReport = z.infer<typeof DpgReport>

/** Scores are computed by the evaluators, in Python; they say in one line, with status 2, what is not allowed. */
export function askEvaluators<T>(argv: readonly string[], answer: z.ZodType<T>): T {
  try {
    return answer.parse(JSON.parse(runPython('limbeck.evaluation', argv, 3_600_000)))
  } catch (error) {
    if (error instanceof PythonError && error.status === 2) throw new UsageError(error.stderr.trim(), 2)
    throw error
  }
}
