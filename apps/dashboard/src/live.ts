import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'

/** `live`: events arrive. `polling`: the stream broke, queries are asked again every few seconds. */
export type Liveness = 'connecting' | 'live' | 'polling'

const COALESCE_MS = 1000
const POLL_MS = 5000

/**
 * Keeps everything under `keys` fresh from an event stream. Events only say that something changed;
 * what is shown is always asked for, at most once a second, so a burst costs one request.
 */
export function useLive(url: string, keys: readonly (readonly unknown[])[]): Liveness {
  const client = useQueryClient()
  const [state, setState] = useState<Liveness>('connecting')
  const watched = JSON.stringify(keys)

  useEffect(() => {
    let due: ReturnType<typeof setTimeout> | undefined
    const refresh = () => {
      for (const key of JSON.parse(watched) as unknown[][]) void client.invalidateQueries({ queryKey: key })
    }
    const source = new EventSource(url)
    const changed = () => {
      due ??= setTimeout(() => {
        due = undefined
        refresh()
      }, COALESCE_MS)
    }
    source.onopen = () => setState('live')
    source.onmessage = changed
    // The browser reconnects by itself and sends Last-Event-ID; until then, ask.
    source.onerror = () => setState('polling')
    const poll = setInterval(() => {
      if (source.readyState !== EventSource.OPEN) refresh()
    }, POLL_MS)
    return () => {
      source.close()
      clearInterval(poll)
      clearTimeout(due)
    }
  }, [url, watched, client])
  return state
}
