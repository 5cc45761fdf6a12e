import { Checkbox, Group, SegmentedControl, Text } from '@mantine/core'
import { COLOUR_SCALES, type ColourScaleKind } from './colour-scale.ts'
import classes from './heat-map.module.css'

const SCALE_LABEL: Record<ColourScaleKind, string> = {
  logarithmic: 'log',
  linear: 'linear',
  symlog: 'symlog',
}

/** What the map shows, what it looks like when all is well, and how values become colours. */
export function MapHeader(props: {
  title: string
  sentence: string
  healthy: string | undefined
  scale: ColourScaleKind
  onScale: ((scale: ColourScaleKind) => void) | undefined
  robust: boolean
  onRobust: ((robust: boolean) => void) | undefined
  diverging: boolean
}) {
  const { title, scale, onScale, robust, onRobust } = props
  const scales = COLOUR_SCALES.filter((kind) => !props.diverging || kind !== 'logarithmic')
  return (
    <div>
      <Group justify="space-between" gap="xs">
        <Text component="figcaption" size="sm" fw={600}>
          {title}
        </Text>
        <Group gap="sm">
          {onRobust && (
            <Checkbox
              size="xs"
              label="clip outliers"
              title="Colours span the 1st to the 99th percentile"
              checked={robust}
              onChange={(event) => onRobust(event.currentTarget.checked)}
            />
          )}
          {onScale && (
            <SegmentedControl
              size="xs"
              aria-label={`Colour scale of ${title}`}
              value={scale}
              data={scales.map((value) => ({ value, label: SCALE_LABEL[value] }))}
              onChange={(value) => onScale(value as ColourScaleKind)}
            />
          )}
        </Group>
      </Group>
      <div className={classes.note}>
        {props.sentence}
        {props.healthy !== undefined && (
          <>
            {' '}
            <strong>Healthy:</strong> {props.healthy}
          </>
        )}
      </div>
    </div>
  )
}
