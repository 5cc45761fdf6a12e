import type { StageView } from '@limbeck/contracts'
import { Box, Text, Tooltip } from '@mantine/core'
import { duration } from '../format.ts'
import classes from './timeline.module.css'

/** Attempts of each stage over the run's time; what ended an attempt early stands in its tooltip. */
export function Timeline({ stages, from, to }: { stages: StageView[]; from: number; to: number }) {
  const span = Math.max(to - from, 1)
  const share = (time: number) => `${(100 * (time - from)) / span}%`
  return (
    <Box role="list" aria-label="Timeline of the stages" className={classes.rows}>
      {stages.map((stage) => (
        <Box key={stage.id} role="listitem" className={classes.row}>
          <Text size="xs" truncate className={classes.name}>
            {stage.name}
          </Text>
          <Box className={classes.track}>
            {stage.attempts.map((attempt) => {
              const start = Date.parse(attempt.started_at)
              const end = attempt.ended_at === null ? to : Date.parse(attempt.ended_at)
              const label = `${stage.name}, attempt ${attempt.epoch} on ${attempt.worker_name}: ${attempt.outcome ?? 'running'}, ${duration((end - start) / 1000)}${attempt.message ? `; ${attempt.message}` : ''}`
              return (
                <Tooltip key={attempt.epoch} label={label} multiline maw={420}>
                  <Box
                    tabIndex={0}
                    role="img"
                    aria-label={label}
                    className={classes.bar}
                    data-outcome={attempt.outcome ?? 'running'}
                    style={{ left: share(start), width: `max(3px, ${(100 * (end - start)) / span}%)` }}
                  />
                </Tooltip>
              )
            })}
          </Box>
        </Box>
      ))}
    </Box>
  )
}
