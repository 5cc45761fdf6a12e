/** Kinds of failure, by the rule that a line of a reason names (limbeck.evaluation.geneval). */
export const REASON_KINDS = ['missing', 'too many', 'wrong colour', 'wrong position', 'other'] as const
export type ReasonKind = (typeof REASON_KINDS)[number]

const RULES: readonly [RegExp, ReasonKind][] = [
  [/^expected fewer than /, 'too many'],
  [/\(colours: /, 'wrong colour'],
  [/^no target for | (left of|right of|above|below) target/, 'wrong position'],
  [/^expected \d+ .*, found \d+$/, 'missing'],
]

/** The kinds of a reason's lines, each once. */
export const reasonKinds = (reason: string): ReasonKind[] => [
  ...new Set(
    reason
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => RULES.find(([pattern]) => pattern.test(line))?.[1] ?? 'other'),
  ),
]
