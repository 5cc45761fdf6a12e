import { formatWhole } from '../curves/format-number.ts'
import type { Grid } from './grid.ts'
import type { Cell, HeatMark, MarkKind } from './types.ts'
import { type ColumnEdges, columnAt } from './view.ts'

export const MARK_LABEL: Record<MarkKind, string> = {
  non_finite: 'not finite',
  rollback: 'rollback',
  clamp: 'clamped',
  teacher_worse: 'teacher worse',
}

/** A mark with the column it happened in; null beyond the logged steps and in holes. */
export interface PlacedMark {
  mark: HeatMark
  column: number | null
}

/** Ascending by step. */
export const placeMarks = (
  marks: readonly HeatMark[],
  grid: Pick<Grid, 'steps'>,
  edges: ColumnEdges,
): PlacedMark[] =>
  [...marks]
    .sort((a, b) => a.step - b.step)
    .map((mark) => ({ mark, column: columnAt(grid.steps, edges, mark.step) }))

/** Marks of a cell: those of its bin, and those of its column that name no bin. */
export const marksIn = (placed: readonly PlacedMark[], column: number, bin: number): HeatMark[] =>
  placed.filter((one) => one.column === column && (one.mark.bin ?? bin) === bin).map(({ mark }) => mark)

/** Cells that marks name, each once. */
export function markedCells(placed: readonly PlacedMark[], { steps, bins }: Grid): Cell[] {
  const cells = new Map<number, Cell>()
  for (const { mark, column } of placed) {
    const step = column === null ? undefined : steps[column]
    if (column === null || step === undefined || mark.bin === undefined || mark.bin >= bins) continue
    cells.set(column * bins + mark.bin, { step, bin: mark.bin })
  }
  return [...cells.values()]
}

/** Marks less than a button apart on the screen: one triangle. */
export interface MarkCluster {
  /** CSS pixels from the plot's left edge, of the first mark. */
  left: number
  /** At least one, ascending by step. */
  marks: [HeatMark, ...HeatMark[]]
}

/** @param place CSS pixels of a step, null where it is not in view */
export function clusterMarks(
  placed: readonly PlacedMark[],
  place: (step: number) => number | null,
  gap: number,
): MarkCluster[] {
  const clusters: MarkCluster[] = []
  for (const { mark } of placed) {
    const left = place(mark.step)
    if (left === null) continue
    const open = clusters.at(-1)
    if (open && left - open.left < gap) open.marks.push(mark)
    else clusters.push({ left, marks: [mark] })
  }
  return clusters
}

/** The worst kind decides how a cluster looks: what broke before what was corrected. */
export const clusterKind = ({ marks }: MarkCluster): MarkKind =>
  (['non_finite', 'rollback', 'teacher_worse', 'clamp'] as const).find((kind) =>
    marks.some((mark) => mark.kind === kind),
  ) ?? marks[0].kind

export const markText = ({ step, kind, text }: HeatMark): string =>
  `step ${formatWhole(step)}, ${MARK_LABEL[kind]}: ${text}`

/** The step of the next mark after (before) one; null if there is none. */
export function nextMark(
  placed: readonly PlacedMark[],
  from: number | null,
  direction: 1 | -1,
): PlacedMark | null {
  const beyond = placed.filter(
    ({ mark, column }) => column !== null && (from === null || (mark.step - from) * direction > 0),
  )
  return (direction === 1 ? beyond[0] : beyond.at(-1)) ?? null
}
