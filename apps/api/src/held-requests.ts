/** Requests that wait for news of one thing: heartbeats by stage. */
export class HeldRequests {
  readonly #waiting = new Map<string, Set<() => void>>()

  /** Resolves when `key` is woken, after `milliseconds`, or when `signal` is aborted. */
  wait(key: string, milliseconds: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(key) ?? new Set()
      const done = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        waiting.delete(done)
        if (waiting.size === 0) this.#waiting.delete(key)
        resolve()
      }
      const timer = setTimeout(done, milliseconds)
      if (signal.aborted) return done()
      signal.addEventListener('abort', done)
      waiting.add(done)
      this.#waiting.set(key, waiting)
    })
  }

  wake(key: string): void {
    for (const done of [...(this.#waiting.get(key) ?? [])]) done()
  }
}
