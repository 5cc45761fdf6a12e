import { Problem, type ProblemCode } from '@limbeck/contracts'
import type { z } from 'zod'

/** What the API answered instead of a result; the message names what was wrong and what is allowed. */
export class ApiError extends Error {
  override name = 'ApiError'
  readonly code: ProblemCode | 'unreachable'
  readonly problem: Problem | null

  constructor(message: string, code: ProblemCode | 'unreachable', problem: Problem | null = null) {
    super(message)
    this.code = code
    this.problem = problem
  }
}

export interface RequestOptions {
  body?: unknown
  headers?: Record<string, string>
  /** Milliseconds until the whole answer must have come. Default 30,000. */
  timeoutMs?: number
}

/** The REST API, with answers parsed by the same schemas that the server writes them by. */
export class ApiClient {
  readonly baseUrl: string
  readonly #token: string

  constructor(baseUrl: string, token: string) {
    this.baseUrl = baseUrl.replace(/\/$/, '')
    this.#token = token
  }

  get<S extends z.ZodType>(path: string, schema: S, options?: RequestOptions): Promise<z.output<S>> {
    return this.#request('GET', path, schema, options)
  }

  post<S extends z.ZodType>(
    path: string,
    schema: S,
    body: unknown,
    options?: RequestOptions,
  ): Promise<z.output<S>> {
    return this.#request('POST', path, schema, { ...options, body })
  }

  async delete(path: string): Promise<void> {
    await this.#send('DELETE', path, {})
  }

  /** The bytes behind a path that redirects to a presigned URL. The token is not sent on to it. */
  async bytes(path: string): Promise<Uint8Array> {
    const first = await this.#send('GET', path, {}, 'manual')
    const target = first.headers.get('location')
    const response =
      target === null
        ? first
        : await this.#fetch(new URL(target, this.baseUrl).href, { signal: AbortSignal.timeout(300_000) })
    if (!response.ok)
      throw new ApiError(`GET ${path}: the object store answered ${response.status}`, 'unavailable')
    return new Uint8Array(await response.arrayBuffer())
  }

  async #request<S extends z.ZodType>(
    method: string,
    path: string,
    schema: S,
    options: RequestOptions = {},
  ): Promise<z.output<S>> {
    const response = await this.#send(method, path, options)
    return schema.parse(await response.json())
  }

  async #send(
    method: string,
    path: string,
    options: RequestOptions,
    redirect: 'follow' | 'manual' = 'follow',
  ): Promise<Response> {
    const response = await this.#fetch(`${this.baseUrl}${path}`, {
      method,
      redirect,
      signal: AbortSignal.timeout(options.timeoutMs ?? 30_000),
      headers: {
        authorization: `Bearer ${this.#token}`,
        ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
      },
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
    })
    if (response.ok || (redirect === 'manual' && response.status >= 300 && response.status < 400))
      return response
    throw await errorOf(response, `${method} ${path}`)
  }

  async #fetch(url: string, init: RequestInit): Promise<Response> {
    try {
      return await fetch(url, init)
    } catch (error) {
      const cause =
        error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error)
      throw new ApiError(
        `${new URL(url).origin} does not answer (${cause}); is it up? See ./limbeck status`,
        'unreachable',
      )
    }
  }
}

async function errorOf(response: Response, what: string): Promise<ApiError> {
  const text = await response.text()
  let parsed: ReturnType<typeof Problem.safeParse> | undefined
  try {
    parsed = Problem.safeParse(JSON.parse(text))
  } catch {
    // Not JSON: a proxy, or another server on that port.
  }
  if (!parsed?.success)
    return new ApiError(`${what}: status ${response.status}, and not an answer of Limbeck's API`, 'internal')
  const { data } = parsed
  const details = [...(data.errors ?? []).map(({ path, message }) => `\n  ${path}: ${message}`)]
  return new ApiError(
    `${data.title}: ${data.detail}${details.join('')} [${data.code}, request ${data.request_id}]`,
    data.code,
    data,
  )
}
