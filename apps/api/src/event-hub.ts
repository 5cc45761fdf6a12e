import type { Logger } from '@limbeck/platform'
import { latestCursor, readEvents, type Store } from '@limbeck/store'
import { settled } from './context.ts'

export interface EventFilter {
  readonly project: string
  /** Null: the whole project. */
  readonly run: string | null
}

interface Subscriber {
  readonly filter: EventFilter
  pending: boolean
  wake: (() => void) | null
}

export interface Subscription {
  /** True: there is news for the filter. False: `milliseconds` passed, or `signal` was aborted. */
  next(milliseconds: number, signal: AbortSignal): Promise<boolean>
  close(): void
}

interface Polling {
  cursor: string
  timer: ReturnType<typeof setTimeout> | null
}

const BATCH = 1000

/**
 * Tells streams that the feed has news for them. One poll of the feed serves all streams of the process, and it
 * carries nothing: each stream reads from its own cursor, so a slow one buffers nothing here.
 */
export class EventHub {
  readonly #store: Store
  readonly #log: Logger
  readonly #pollMs: number
  readonly #subscribers = new Set<Subscriber>()
  #polling: Polling | null = null

  constructor(store: Store, log: Logger, pollMs = 250) {
    this.#store = store
    this.#log = log
    this.#pollMs = pollMs
  }

  get size(): number {
    return this.#subscribers.size
  }

  /** Nothing that is committed after this resolves goes unnoticed. */
  async subscribe(filter: EventFilter): Promise<Subscription> {
    const subscriber: Subscriber = { filter, pending: false, wake: null }
    this.#subscribers.add(subscriber)
    try {
      if (this.#polling === null) {
        const cursor = await latestCursor(this.#store)
        // Another stream may have begun the poll meanwhile; its cursor is the older one.
        if (this.#polling === null) this.#start(cursor)
      }
    } catch (error) {
      this.#subscribers.delete(subscriber)
      throw error
    }
    return {
      next: (milliseconds, signal) => wait(subscriber, milliseconds, signal),
      close: () => {
        this.#subscribers.delete(subscriber)
        if (this.#subscribers.size === 0) this.stop()
      },
    }
  }

  stop(): void {
    if (this.#polling?.timer) clearTimeout(this.#polling.timer)
    this.#polling = null
  }

  #start(cursor: string): void {
    const polling: Polling = { cursor, timer: null }
    const poll = async () => {
      let full = false
      try {
        const events = settled(await readEvents(this.#store, { after: polling.cursor, limit: BATCH }))
        for (const { project, run } of events) this.#notify(project, run)
        polling.cursor = events.at(-1)?.cursor ?? polling.cursor
        full = events.length === BATCH
      } catch (error) {
        // Postgres is away: streams stay open, their own reads go on when it is back.
        this.#log.warn('event_poll_failed', { error })
      }
      // Stopped meanwhile, and perhaps begun again: this one ends.
      if (this.#polling === polling) polling.timer = setTimeout(poll, full ? 0 : this.#pollMs)
    }
    this.#polling = polling
    polling.timer = setTimeout(poll, this.#pollMs)
  }

  #notify(project: string, run: string | null): void {
    for (const subscriber of this.#subscribers) {
      const { filter } = subscriber
      if (filter.project !== project || (filter.run !== null && filter.run !== run)) continue
      subscriber.pending = true
      subscriber.wake?.()
    }
  }
}

function wait(subscriber: Subscriber, milliseconds: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      subscriber.wake = null
      const news = subscriber.pending
      subscriber.pending = false
      resolve(news)
    }
    const timer = setTimeout(done, milliseconds)
    if (subscriber.pending || signal.aborted) return done()
    signal.addEventListener('abort', done)
    subscriber.wake = done
  })
}
