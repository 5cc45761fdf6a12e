/**
 * Structured logs: one JSON line an event, to standard output. An event's name is stable and what varies stands in
 * fields: `log.info('stage_claimed', { stage, worker })`. Everything passes {@link redact}.
 */
import pino from 'pino'
import { redact } from './redact.ts'

export type LogFields = Readonly<Record<string, unknown>>

export interface Logger {
  trace(event: string, fields?: LogFields): void
  debug(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  error(event: string, fields?: LogFields): void
  fatal(event: string, fields?: LogFields): void
  /** The same log with fields that each line carries. */
  with(fields: LogFields): Logger
}

export interface LoggerOptions {
  readonly level: pino.LevelWithSilent
  /** Name of the program: api, orchestrator, cli. */
  readonly service: string
  /** Where lines go. Default standard output. */
  readonly destination?: { write(line: string): void }
}

export function createLogger({ level, service, destination }: LoggerOptions): Logger {
  const options: pino.LoggerOptions = {
    level,
    base: { service },
    messageKey: 'event',
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  }
  return wrap(destination === undefined ? pino(options) : pino(options, destination))
}

function wrap(logger: pino.Logger): Logger {
  const line =
    (level: pino.Level) =>
    (event: string, fields: LogFields = {}): void => {
      if (logger.isLevelEnabled(level)) logger[level](redact(fields) as object, event)
    }
  return {
    trace: line('trace'),
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    fatal: line('fatal'),
    with: (fields) => wrap(logger.child(redact(fields) as object)),
  }
}
