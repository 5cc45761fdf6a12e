import { PROBLEMS, type Problem, type ProblemCode } from '@limbeck/contracts'

type Extras = Pick<Problem, 'errors' | 'gates'> & { headers?: Record<string, string> }

/** An error that a client caused or must know of; everything else becomes `internal`. */
export class ProblemError extends Error {
  override name = 'ProblemError'
  readonly code: ProblemCode
  readonly extras: Extras

  /** @param detail what was found and what is allowed; shown to the client, so it holds no secret */
  constructor(code: ProblemCode, detail: string, extras: Extras = {}) {
    super(detail)
    this.code = code
    this.extras = extras
  }

  get status(): number {
    return PROBLEMS[this.code][0]
  }
}

/** RFC 9457 body of a problem. */
export function problemBody(error: ProblemError, requestId: string): Problem {
  const [status, title] = PROBLEMS[error.code]
  const { errors, gates } = error.extras
  return {
    type: `urn:limbeck:problem:${error.code}`,
    code: error.code,
    title,
    status,
    detail: error.message,
    request_id: requestId,
    ...(errors === undefined ? {} : { errors }),
    ...(gates === undefined ? {} : { gates }),
  }
}

export const notFound = (what: string, id: string): ProblemError =>
  new ProblemError('not_found', `there is no ${what} ${id} in this project`)
