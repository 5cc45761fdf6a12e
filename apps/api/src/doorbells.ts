import type { ResourceClass } from '@limbeck/contracts'
import { closeWithin, type Logger, openWorker, workerConnection } from '@limbeck/platform'

type Consumer = ReturnType<typeof openWorker<unknown, void>>

/** A consumer outlives its last waiter by this: an agent's next poll follows at once. */
const LINGER_MS = 2_000
/** Claims beyond this many do not wait; their agents come again. */
const WAITERS_LIMIT = 2_000
const CLOSE_LIMIT_MS = 2_000

export const queueOf = (resourceClass: ResourceClass): string => `dispatch-${resourceClass}`

interface Waiter {
  rung: boolean
  wake: (() => void) | null
}

export interface Listener {
  /** Resolves at a ring, after `milliseconds`, or when `signal` is aborted. */
  wait(milliseconds: number, signal: AbortSignal): Promise<void>
  close(): void
}

interface Room {
  readonly waiters: Set<Waiter>
  consumer: Consumer | null
  linger: ReturnType<typeof setTimeout> | null
}

/**
 * Where claims wait for work. While a worker of a class waits here, this process consumes the class's queue, and a
 * job wakes the claim that waits longest. A job says nothing but "ask Postgres": lost, doubled or stale ones do no
 * harm, and with Redis gone a waiting claim still asks by the clock.
 */
export class Doorbells {
  readonly #rooms = new Map<ResourceClass, Room>()
  readonly #redisUrl: string
  readonly #prefix: string
  readonly #log: Logger
  #connection: ReturnType<typeof workerConnection> | null = null
  #away = false

  constructor(redisUrl: string, log: Logger, prefix = 'limbeck') {
    this.#redisUrl = redisUrl
    this.#prefix = prefix
    this.#log = log
  }

  /** Rings count from now on, also between two waits: ask Postgres, then wait, and nothing is missed. */
  listen(classes: readonly ResourceClass[]): Listener {
    const listener: Waiter = { rung: false, wake: null }
    const rooms = classes.map((resourceClass) => this.#enter(resourceClass, listener))
    return {
      wait: (milliseconds, signal) => sleep(listener, milliseconds, signal),
      close: () => {
        for (const room of rooms) this.#leave(room, listener)
      },
    }
  }

  /** Wakes the claim of the class that waits longest. */
  ring(resourceClass: ResourceClass): void {
    for (const waiter of this.#rooms.get(resourceClass)?.waiters ?? []) {
      if (waiter.rung) continue
      waiter.rung = true
      waiter.wake?.()
      return
    }
  }

  get crowded(): boolean {
    let waiters = 0
    for (const room of this.#rooms.values()) waiters += room.waiters.size
    return waiters >= WAITERS_LIMIT
  }

  async close(): Promise<void> {
    const consumers: Consumer[] = []
    for (const room of this.#rooms.values()) {
      if (room.linger !== null) clearTimeout(room.linger)
      if (room.consumer !== null) consumers.push(room.consumer)
    }
    this.#rooms.clear()
    await closeWithin(CLOSE_LIMIT_MS, ...consumers.map((consumer) => () => consumer.close(true)))
    this.#connection?.disconnect()
  }

  #enter(resourceClass: ResourceClass, waiter: Waiter): Room {
    let room = this.#rooms.get(resourceClass)
    if (room === undefined) {
      room = { waiters: new Set(), consumer: null, linger: null }
      this.#rooms.set(resourceClass, room)
    }
    if (room.linger !== null) clearTimeout(room.linger)
    room.linger = null
    room.waiters.add(waiter)
    room.consumer ??= this.#consume(resourceClass)
    return room
  }

  #leave(room: Room, waiter: Waiter): void {
    room.waiters.delete(waiter)
    if (room.waiters.size > 0 || room.linger !== null) return
    room.linger = setTimeout(() => {
      const { consumer } = room
      room.linger = null
      room.consumer = null
      // Forced: no processor takes longer than a turn of the loop.
      if (consumer !== null) void closeWithin(CLOSE_LIMIT_MS, () => consumer.close(true))
    }, LINGER_MS)
    room.linger.unref()
  }

  #consume(resourceClass: ResourceClass): Consumer {
    this.#connection ??= workerConnection(this.#redisUrl)
    const consumer = openWorker<unknown>(
      queueOf(resourceClass),
      async () => {
        this.#report(false)
        this.ring(resourceClass)
      },
      {
        connection: this.#connection,
        prefix: this.#prefix,
        onError: (error) => this.#report(true, error),
      },
    )
    return consumer
  }

  /** One line at each change, not one a retry. */
  #report(away: boolean, error?: Error): void {
    if (away === this.#away) return
    this.#away = away
    if (away) this.#log.warn('redis_away', { error })
    else this.#log.info('redis_back')
  }
}

function sleep(waiter: Waiter, milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      waiter.wake = null
      waiter.rung = false
      resolve()
    }
    const timer = setTimeout(done, milliseconds)
    if (waiter.rung || signal.aborted) return done()
    signal.addEventListener('abort', done)
    waiter.wake = done
  })
}
