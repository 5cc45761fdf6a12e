/** One row of `ArrayPoints`: a statistic in each bin of t, bin 0 at the data. Non-finite values are strings. */
export interface ArrayRow {
  step: number
  values: readonly (number | string | null)[]
}

export interface Cell {
  /** A training step that the grid has a column for. */
  step: number
  /** 0 at the data (t = 0), bins - 1 at the noise (t = 1). */
  bin: number
}

export const MARK_KINDS = ['non_finite', 'rollback', 'clamp', 'teacher_worse'] as const
export type MarkKind = (typeof MARK_KINDS)[number]

/** An event of the stage's guards. */
export interface HeatMark {
  /** Any step of the run: guards act between two logged rows, too. */
  step: number
  /** Left out where the event is not about one noise level. */
  bin?: number | undefined
  kind: MarkKind
  text: string
}
