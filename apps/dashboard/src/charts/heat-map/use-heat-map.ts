import { useMemo } from 'react'
import { useStable } from '../curves/use-stable.ts'
import type { ColourMap } from './colour.ts'
import { type ColourScaleKind, gridScale } from './colour-scale.ts'
import { countKinds, type Grid } from './grid.ts'
import { markedCells, placeMarks } from './marks.ts'
import { paintCells } from './paint.ts'
import type { HeatMark } from './types.ts'
import { columnEdges } from './view.ts'

/** All that is derived from the data, made again for other data or colours and never for a move of cursor or window. */
export function useHeatMap(
  grid: Grid,
  given: readonly HeatMark[],
  { scale: asked, map, robust }: { scale: ColourScaleKind; map: ColourMap; robust: boolean },
) {
  const edges = useMemo(() => columnEdges(grid.steps), [grid])
  const scale = useMemo(
    () => gridScale(grid, asked, { centred: map === 'diverging', robust }),
    [grid, asked, map, robust],
  )
  const cells = useMemo(() => paintCells(grid, scale, map), [grid, scale, map])
  const counts = useMemo(() => countKinds(grid, scale.kind === 'logarithmic'), [grid, scale])
  const marks = useStable(given, sameMarks)
  const placed = useMemo(() => placeMarks(marks, grid, edges), [marks, grid, edges])
  const outlined = useMemo(() => markedCells(placed, grid), [placed, grid])
  return { edges, scale, cells, counts, placed, outlined }
}

const sameMarks = (a: readonly HeatMark[], b: readonly HeatMark[]): boolean =>
  a === b ||
  (a.length === b.length &&
    a.every((one, index) => {
      const other = b[index]
      return (
        one.step === other?.step &&
        one.bin === other.bin &&
        one.kind === other.kind &&
        one.text === other.text
      )
    }))
