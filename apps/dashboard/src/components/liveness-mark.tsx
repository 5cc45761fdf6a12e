import { Text } from '@mantine/core'
import { useEffect, useState } from 'react'
import { duration } from '../format.ts'
import type { Liveness } from '../live.ts'

/** How fresh the page is: nothing is silently stale. */
export function LivenessMark({ state, at }: { state: Liveness; at: number }) {
  const [now, setNow] = useState(Date.now())
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000)
    return () => clearInterval(timer)
  }, [])
  const age = at === 0 ? '' : ` · ${duration(Math.max(0, Math.round((now - at) / 1000)))} old`
  return (
    <Text size="sm" c={state === 'live' ? 'dimmed' : 'orange'} role="status">
      {state === 'polling' ? 'reconnecting' : state}
      {age}
    </Text>
  )
}
