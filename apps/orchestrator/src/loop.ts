import type { Logger } from '@limbeck/platform'

export interface Loop {
  /** Runs the next round now. */
  wake(): void
  /** Resolves when the round that is running has ended. */
  stop(): Promise<void>
}

export interface LoopOptions {
  readonly name: string
  readonly log: Logger
  /** Pause after a round that found nothing to do. */
  readonly idle_ms: number
  /** One round. True: there is more to do now. */
  readonly round: (signal: AbortSignal) => Promise<boolean>
}

const ERROR_PAUSE_MS = 1_000

/**
 * A plain timer: rounds never overlap, and a failed one is followed by a pause and the next. Not a BullMQ job, so that
 * it runs whether Redis answers or not. One line when it begins to fail and one when it works again.
 */
export function startLoop({ name, log, idle_ms, round }: LoopOptions): Loop {
  const stop = new AbortController()
  let wake = () => {}
  let woken = false
  let failing = false

  const pause = (milliseconds: number) =>
    new Promise<void>((resolve) => {
      if (woken || stop.signal.aborted) return resolve()
      const timer = setTimeout(resolve, milliseconds)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })

  const run = async () => {
    while (!stop.signal.aborted) {
      woken = false
      let idle = idle_ms
      try {
        if (await round(stop.signal)) idle = 0
        if (failing) log.info('loop_recovered', { loop: name })
        failing = false
      } catch (error) {
        if (stop.signal.aborted) return
        if (!failing) log.warn('loop_failed', { loop: name, error })
        failing = true
        idle = Math.max(idle_ms, ERROR_PAUSE_MS)
      }
      await pause(idle)
    }
  }
  const running = run()
  return {
    wake() {
      woken = true
      wake()
    },
    async stop() {
      stop.abort()
      wake()
      await running
    },
  }
}
