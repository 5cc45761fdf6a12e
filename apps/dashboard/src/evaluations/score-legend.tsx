import { Group, Text } from '@mantine/core'
import { palette, type Scheme } from '../charts/curves/palette.ts'
import { signPath } from './score-paths.ts'

/** Roles with their sign and colour, in the order of the chart. */
export function ScoreLegend({ roles, scheme }: { roles: readonly string[]; scheme: Scheme }) {
  return (
    <Group gap="md">
      {roles.map((role, sign) => (
        <Group key={role} gap={4}>
          <svg width="14" height="14" viewBox="-7 -7 14 14" aria-hidden="true">
            <path d={`M0 0${signPath(sign)}`} fill={palette.style(role, scheme).colour} />
          </svg>
          <Text size="xs">{role}</Text>
        </Group>
      ))}
    </Group>
  )
}
