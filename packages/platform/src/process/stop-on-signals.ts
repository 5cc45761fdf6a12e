import process from 'node:process'
import type { Logger } from '../logging.ts'

const DEADLINE_MS = 25_000

/**
 * SIGTERM and SIGINT end the process in order; a second one, or 25 s, ends it at once. SIGPIPE is left alone: a client
 * that goes away is an error of its socket, not of the process. SIGHUP too: a terminal that closes must not end a
 * service that was put in the background.
 */
export function stopOnSignals(log: Logger, stop: () => Promise<void>): void {
  let stopping = false
  const onSignal = (signal: NodeJS.Signals) => {
    if (stopping) process.exit(1)
    stopping = true
    log.info('stopping', { signal })
    setTimeout(() => {
      log.error('stop_took_too_long', { seconds: DEADLINE_MS / 1000 })
      process.exit(1)
    }, DEADLINE_MS).unref()
    stop().then(
      () => {
        log.info('stopped')
        process.exit(0)
      },
      (error) => {
        log.error('stop_failed', { error })
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
}
