import { Group, Slider, Stack, Text } from '@mantine/core'
import type { SampleColumn } from './columns.ts'
import classes from './samples.module.css'

const when = (time: string | null): string =>
  time === null
    ? 'time not known'
    : new Date(time).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })

/** For each role that was evaluated more than once: which moment of its training is shown. */
export function TrainingSliders({
  columns,
  chosen,
  onChoose,
}: {
  columns: readonly SampleColumn[]
  /** Index of a version by column key; without one, the newest. */
  chosen: Readonly<Record<string, number>>
  onChoose: (key: string, version: number) => void
}) {
  return columns
    .filter(({ versions }) => versions.length > 1)
    .map(({ key, title, versions }) => {
      const last = versions.length - 1
      const value = Math.min(chosen[key] ?? last, last)
      const version = versions[value]
      const text = `evaluation ${value + 1} of ${versions.length}: ${version?.stage}, ${when(version?.endedAt ?? null)}`
      return (
        <Stack key={key} gap={2} maw={520}>
          <Group justify="space-between" gap="xs">
            <Text size="sm" fw={600}>
              {title}, through training
            </Text>
            <Text className={classes.note}>{text}</Text>
          </Group>
          <Slider
            value={value}
            min={0}
            max={last}
            step={1}
            label={null}
            marks={versions.map((_, index) => ({ value: index }))}
            thumbLabel={`${title}, through training`}
            thumbProps={{ 'aria-valuetext': text }}
            onChange={(version) => onChoose(key, version)}
          />
        </Stack>
      )
    })
}
