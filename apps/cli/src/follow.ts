import { setTimeout as sleep } from 'node:timers/promises'
import { type RunState, RunView, type StageView } from '@limbeck/contracts'
import { type ApiClient, ApiError } from './client.ts'
import { duration } from './format.ts'

const ENDED: readonly RunState[] = ['succeeded', 'failed', 'cancelled']
export const hasEnded = (run: RunView): boolean => ENDED.includes(run.state)

/** Where progress goes: a terminal is redrawn, a log gets a line when there is news. */
export interface Output {
  write: (text: string) => unknown
  isTTY?: boolean | undefined
  columns?: number | undefined
}

/** "distill  step 420 of 1000 · 96 images/s · loss 0.214 · 1 min 20 s left" */
export function stageLine(stage: StageView, now: number): string {
  const name = stage.name.padEnd(24)
  const attempt = stage.epoch > 1 ? ` (attempt ${stage.epoch})` : ''
  if (stage.state !== 'running') {
    const seconds = stage.seconds === null ? '' : ` in ${duration(stage.seconds)}`
    const why = stage.state === 'succeeded' || stage.message === null ? '' : ` · ${stage.message}`
    return `${name} ${stage.cached ? 'cached' : stage.state}${seconds}${attempt}${why}`
  }
  const started = stage.attempts.at(-1)?.started_at ?? stage.started_at
  const running = started === null ? '' : `running for ${duration((now - Date.parse(started)) / 1000)}`
  const { progress } = stage
  if (progress === null || progress.total === 0) return `${name} ${running}${attempt}`
  const elapsed = started === null ? 0 : (Date.parse(progress.at) - Date.parse(started)) / 1000
  const done = progress.step - (stage.attempts.at(-1)?.resumed_from_step ?? 0)
  const left = done > 0 ? ` · ${duration((elapsed / done) * (progress.total - progress.step))} left` : ''
  const rate =
    progress.images_per_second === null ? '' : ` · ${progress.images_per_second.toFixed(0)} images/s`
  const loss = progress.loss === null ? '' : ` · loss ${progress.loss.toPrecision(3)}`
  return `${name} step ${progress.step} of ${progress.total}${rate}${loss}${left}${attempt}`
}

/**
 * Watches a run to its end. The API may go away meanwhile: the run goes on, and so does this, up to
 * `outageSeconds` of silence.
 */
export async function follow(
  client: ApiClient,
  run: string,
  output: Output,
  outageSeconds = 600,
): Promise<RunView> {
  const printed = new Map<string, string>()
  let lines = 0
  let silentSince: number | null = null
  let lastNews = 0
  for (;;) {
    let view: RunView | null = null
    try {
      view = await client.get(`/v1/runs/${run}`, RunView, { timeoutMs: 10_000 })
      silentSince = null
    } catch (error) {
      const passing =
        (error instanceof ApiError &&
          ['unreachable', 'unavailable', 'internal', 'rate_limited'].includes(error.code)) ||
        (error instanceof Error && error.name === 'TimeoutError')
      silentSince ??= Date.now()
      if (!passing || Date.now() - silentSince > outageSeconds * 1000) throw error
    }
    if (view) {
      if (output.isTTY) lines = redraw(output, view, lines)
      else lastNews = report(output, view, printed, lastNews)
      if (hasEnded(view)) return view
    }
    await sleep(1000)
  }
}

function redraw(output: Output, run: RunView, before: number): number {
  const width = (output.columns ?? 100) - 1
  const text = run.stages
    .filter((stage) => stage.state !== 'blocked')
    .map((stage) => stageLine(stage, Date.now()).slice(0, width))
  const waiting = run.stages.length - text.length
  text.push(waiting === 0 ? '' : `${waiting} more stages wait`)
  output.write(`${before > 0 ? `\x1b[${before}A` : ''}${text.map((line) => `\x1b[2K${line}\n`).join('')}`)
  return text.length
}

/** A line at each change of state, one for what runs every 15 s, and why nothing runs, once a reason. */
export function report(
  output: Output,
  run: RunView,
  printed: Map<string, string>,
  lastNews: number,
  now = Date.now(),
): number {
  const tick = now - lastNews >= 15_000
  // Not at the first look: what was just queued is taken within a second.
  const idle = tick && lastNews > 0 && run.stages.every(({ state }) => state !== 'running')
  for (const stage of run.stages) {
    const key = `${stage.state} ${stage.epoch}`
    const fresh = printed.get(stage.name) !== key
    printed.set(stage.name, key)
    if (stage.state === 'queued' && idle) {
      const why = `${key} ${stage.message}`
      if (printed.get(`${stage.name} waits`) !== why) output.write(`${stageLine(stage, now)}\n`)
      printed.set(`${stage.name} waits`, why)
    }
    if (stage.state === 'blocked' || stage.state === 'queued') continue
    if (fresh || (tick && stage.state === 'running')) output.write(`${stageLine(stage, now)}\n`)
  }
  return tick ? now : lastNews
}
