export interface Answer {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: a test reads answers of every shape, right and wrong
  readonly body: any
}

/** Plain HTTP: what is sent and answered is what stands in the test. */
export class Client {
  readonly url: string
  readonly #secret: string | null

  constructor(url: string, secret: string | null) {
    this.url = url
    this.#secret = secret
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.send('GET', path, undefined, headers)
  }

  post(path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    return this.send('POST', path, body === undefined ? undefined : JSON.stringify(body), headers)
  }

  delete(path: string): Promise<Answer> {
    return this.send('DELETE', path)
  }

  /** @throws Error unless the answer is a success */
  async must(method: 'GET' | 'POST', path: string, body?: unknown): Promise<Answer['body']> {
    const answer = method === 'GET' ? await this.get(path) : await this.post(path, body ?? {})
    if (answer.status >= 300)
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
    return answer.body
  }

  async send(
    method: string,
    path: string,
    body?: string,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      redirect: 'manual',
      signal: AbortSignal.timeout(30_000),
      headers: {
        ...(this.#secret === null ? {} : { authorization: `Bearer ${this.#secret}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body }),
    })
    const text = await response.text()
    const json = /json/.test(response.headers.get('content-type') ?? '')
    return { status: response.status, headers: response.headers, body: json ? JSON.parse(text) : text }
  }

  /** An event stream, read as it comes; `close` hangs up. */
  async stream(path: string, headers: Record<string, string> = {}): Promise<EventReader> {
    const controller = new AbortController()
    const response = await fetch(`${this.url}${path}`, {
      headers: { accept: 'text/event-stream', authorization: `Bearer ${this.#secret}`, ...headers },
      signal: controller.signal,
    })
    if (!response.ok || response.body === null)
      throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return new EventReader(response.body.pipeThrough(new TextDecoderStream()).getReader(), controller)
  }
}

interface Message {
  id: string
  data: { cursor: string; type: string; run: string | null; payload: Record<string, unknown> }
}

export class EventReader {
  readonly #reader: ReadableStreamDefaultReader<string>
  readonly #controller: AbortController
  #text = ''
  /** Everything that was received, comments and hints included. */
  raw = ''
  ended = false

  constructor(reader: ReadableStreamDefaultReader<string>, controller: AbortController) {
    this.#reader = reader
    this.#controller = controller
  }

  /** The next message, or null at the end of the stream. */
  async next(): Promise<Message | null> {
    for (;;) {
      const end = this.#text.indexOf('\n\n')
      if (end >= 0) {
        const block = this.#text.slice(0, end)
        this.#text = this.#text.slice(end + 2)
        const id = /^id: (.*)$/m.exec(block)?.[1]
        const data = /^data: (.*)$/m.exec(block)?.[1]
        if (id !== undefined && data !== undefined) return { id, data: JSON.parse(data) }
        continue
      }
      const { value, done } = await this.#reader.read()
      if (done) {
        this.ended = true
        return null
      }
      this.#text += value
      this.raw += value
    }
  }

  async take(count: number): Promise<Message[]> {
    const messages: Message[] = []
    while (messages.length < count) {
      const message = await this.next()
      if (message === null) break
      messages.push(message)
    }
    return messages
  }

  async until(accept: (message: Message) => boolean): Promise<Message[]> {
    const messages: Message[] = []
    for (;;) {
      const message = await this.next()
      if (message === null) throw new Error(`the stream ended after ${messages.length} messages`)
      messages.push(message)
      if (accept(message)) return messages
    }
  }

  close(): void {
    this.#controller.abort()
  }
}
