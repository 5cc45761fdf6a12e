import type { FastifyRequest } from 'fastify'
import type { App } from './context.ts'
import { ProblemError } from './problem.ts'

/** An escaped NUL, or half of a surrogate pair: neither can be stored as text. */
const UNSTORABLE =
  /(?<!\\)(?:\\\\)*\\u(?:0000|[dD][89abAB][\da-fA-F]{2}(?!\\u[dD][c-fC-F][\da-fA-F]{2})|(?<!\\u[dD][89abAB][\da-fA-F]{2}\\u)[dD][c-fC-F][\da-fA-F]{2})/

/** JSON only, with the prototype keys refused (Fastify's parser) and text that Postgres cannot hold refused here. */
export function installJsonParser(app: App): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'string' },
    (request: FastifyRequest, text, done) => {
      const body = String(text)
      if (body.includes('\\u') && UNSTORABLE.test(body))
        return done(
          new ProblemError('invalid_request', 'the body holds a NUL character or half a surrogate pair'),
        )
      return parse(request, body, done)
    },
  )
}
