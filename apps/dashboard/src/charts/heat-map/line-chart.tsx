import { Text } from '@mantine/core'
import { useMemo } from 'react'
import { axisScale } from '../curves/axis-scale.ts'
import { formatNumber } from '../curves/format-number.ts'
import type { ColourScaleKind } from './colour-scale.ts'
import classes from './heat-map.module.css'
import { LineLegend } from './line-legend.tsx'
import { LinePlot } from './line-plot.tsx'
import type { Lines } from './profile.ts'

interface LineChartProps {
  title: string
  /** What is drawn, and at which step or noise level. */
  sentence: string
  /** Kept by useMemo. */
  data: Lines
  scale: ColourScaleKind
  range: readonly [number, number]
  formatX: (x: number) => string
  /** A place on the x axis in words. */
  placeText: (x: number) => string
  axisText: string
  notes?: readonly (string | null)[]
  empty: string
  height: number
  cursor: number | null
  onCursor: (index: number | null) => void
}

/** The frame that profile and row have in common. */
export function LineChart(props: LineChartProps) {
  const { title, data, cursor } = props
  const scale = useMemo(() => {
    const values = data.lines.flatMap((line) =>
      line.values.map((value) => (typeof value === 'number' ? value : null)),
    )
    return axisScale(props.scale === 'logarithmic' ? 'log10' : props.scale, values)
  }, [data, props.scale])
  const x = cursor === null ? undefined : data.x[cursor]
  const values = data.lines.map(
    ({ label, values }) => `${label} ${formatNumber(values[cursor ?? -1] ?? null)}`,
  )
  return (
    <figure className={classes.figure} aria-label={`${title}: ${props.sentence}`}>
      <Text component="figcaption" size="sm" fw={600}>
        {title}
      </Text>
      <div className={classes.note}>{props.sentence}</div>
      {data.x.length === 0 ? (
        <div className={`${classes.empty} ${classes.note}`} style={{ height: props.height }}>
          {props.empty}
        </div>
      ) : (
        <>
          <LinePlot
            data={data}
            scale={scale}
            range={props.range}
            formatX={props.formatX}
            height={props.height}
            label={`${title}: cursor`}
            valueText={x === undefined ? 'no cursor' : [props.placeText(x), ...values].join(', ')}
            cursor={cursor}
            onCursor={props.onCursor}
          />
          <div className={classes.note}>{x === undefined ? props.axisText : props.placeText(x)}</div>
        </>
      )}
      <LineLegend
        lines={data.lines}
        at={cursor}
        positiveOnly={scale.kind === 'log10'}
        notes={props.notes ?? []}
      />
    </figure>
  )
}
