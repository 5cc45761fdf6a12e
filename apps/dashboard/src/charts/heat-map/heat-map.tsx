import { VisuallyHidden } from '@mantine/core'
import { useState } from 'react'
import type { StepWindow } from '../curves/window.ts'
import { LevelAxis, StepAxis } from './axes.tsx'
import type { ColourMap } from './colour.ts'
import { ColourBar } from './colour-bar.tsx'
import type { ColourScaleKind } from './colour-scale.ts'
import type { Grid } from './grid.ts'
import classes from './heat-map.module.css'
import { MapHeader } from './map-header.tsx'
import { MapLegend } from './map-legend.tsx'
import { MapPlot } from './map-plot.tsx'
import { MarkList, MarkTrack } from './mark-track.tsx'
import { mapText } from './readout.ts'
import { ReadoutBar } from './readout-bar.tsx'
import type { Cell, HeatMark } from './types.ts'
import type { CanvasSize } from './use-canvas-size.ts'
import { useHeatMap } from './use-heat-map.ts'
import { useMapInteraction } from './use-map-interaction.ts'

export interface HeatMapProps {
  /** From `toGrid` or `difference`. Keep it by useMemo: another object is other data. */
  grid: Grid
  title: string
  /** What is shown, in one sentence. */
  sentence: string
  /** What it looks like when all is well. */
  healthy?: string | undefined
  /** How values become colours. On a diverging map "logarithmic" is drawn as symlog. */
  scale: ColourScaleKind
  onScale?: ((scale: ColourScaleKind) => void) | undefined
  /** Colours span the 1st to 99th percentile; default false. */
  robust?: boolean
  onRobust?: ((robust: boolean) => void) | undefined
  /** "diverging", with zero in the middle, for a difference; default "sequential". */
  map?: ColourMap
  /** Step of the linked cursor, null for none. Left out, the map keeps its own. */
  cursor?: number | null | undefined
  onCursor?: ((step: number | null) => void) | undefined
  /** The steps in view; null for all. */
  window?: StepWindow | null
  onWindow?: ((window: StepWindow | null) => void) | undefined
  marks?: readonly HeatMark[]
  /** Outlined: the cell whose profile and row are shown elsewhere. */
  picked?: Cell | null
  onPick?: ((cell: Cell) => void) | undefined
  /** CSS pixels of the plot without its axes; default 240. */
  height?: number
}

const NO_MARKS: readonly HeatMark[] = []

/** A statistic by noise level t (up) and training step (right). */
export function HeatMap(props: HeatMapProps) {
  const { grid, title, picked, marks = NO_MARKS, map = 'sequential', robust = false, height = 240 } = props
  const model = useHeatMap(grid, marks, { scale: props.scale, map, robust })
  const { edges, scale, cells, counts, placed, outlined } = model
  const { domain, cursor, ...interaction } = useMapInteraction({ grid, edges, placed }, props)
  const [size, setSize] = useState<CanvasSize>({ width: 0, ratio: 1, em: 16 })
  const label = mapText(title, grid, counts)
  const pickedColumn = picked ? grid.steps.indexOf(picked.step) : -1
  return (
    <figure className={classes.figure} aria-label={label}>
      <MapHeader
        title={title}
        sentence={props.sentence}
        healthy={props.healthy}
        scale={scale.kind}
        onScale={props.onScale}
        robust={robust}
        onRobust={props.onRobust}
        diverging={map === 'diverging'}
      />
      {grid.values.length === 0 ? (
        <div className={`${classes.empty} ${classes.note}`} style={{ height }}>
          No row yet
        </div>
      ) : (
        <>
          <ReadoutBar
            title={title}
            grid={grid}
            placed={placed}
            place={interaction.place}
            cursor={cursor}
            window={interaction.window}
            onReset={interaction.reset}
            onZoomIn={interaction.zoomIn}
            onZoomOut={interaction.zoomOut}
          />
          <div className={classes.layout}>
            <LevelAxis height={height} em={size.em} />
            <MapPlot
              grid={grid}
              cells={cells}
              edges={edges}
              domain={domain}
              outlined={outlined}
              height={height}
              label={label}
              cursor={cursor}
              place={interaction.place}
              picked={picked && pickedColumn >= 0 ? { column: pickedColumn, bin: picked.bin } : null}
              gestures={interaction.gestures}
              onReset={interaction.reset}
              onKeyDown={interaction.press}
              onBlur={interaction.leave}
              onSize={setSize}
            />
            <ColourBar scale={scale} map={map} height={height} em={size.em} />
            <span className={`${classes.note} ${classes.axisName}`} aria-hidden="true">
              step
            </span>
            <StepAxis domain={domain} width={size.width} em={size.em} />
            {placed.length > 0 && (
              <MarkTrack placed={placed} domain={domain} width={size.width} onGo={interaction.goToMark} />
            )}
          </div>
          <MapLegend counts={counts} holes={edges.holes} placed={placed} robust={robust} />
        </>
      )}
      <MarkList placed={placed} />
      <VisuallyHidden aria-live="polite">{interaction.announced}</VisuallyHidden>
    </figure>
  )
}
