import { Badge } from '@mantine/core'

const COLOURS: Record<string, string> = {
  succeeded: 'teal',
  running: 'blue',
  verifying: 'cyan',
  failed: 'red',
  cancelled: 'gray',
  cancelling: 'orange',
  skipped: 'gray',
  queued: 'yellow',
  blocked: 'gray',
}

export function StateBadge({ state, cached = false }: { state: string; cached?: boolean }) {
  return (
    <Badge color={COLOURS[state] ?? 'gray'} variant="light" tt="none">
      {cached ? 'cached' : state}
    </Badge>
  )
}
