import type { FastifySchemaCompiler } from 'fastify'
import { type $ZodIssue, type $ZodType, safeParse } from 'zod/v4/core'
import { ProblemError } from './problem.ts'

interface Finding {
  path: string
  message: string
}

/** Enough to fix a request by; a body of a thousand wrong points needs no thousand lines. */
const FINDINGS_LIMIT = 50

const join = (path: readonly PropertyKey[]): string => path.map(String).join('.')

/** Zod's issues as (path, message): each unknown key by its own path, a union by the branch that came closest. */
export function findings(issues: readonly $ZodIssue[], prefix: readonly PropertyKey[] = []): Finding[] {
  return issues.flatMap((issue): Finding[] => {
    const path = [...prefix, ...issue.path]
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => ({ path: join([...path, key]), message: 'unknown key' }))
    if (issue.code === 'invalid_union' && issue.errors.length > 0)
      return findings(closest(issue.errors), path)
    return [{ path: join(path), message: issue.message }]
  })
}

/** A branch that failed at its root had another type altogether; among the others, fewer issues is closer. */
function closest(branches: readonly (readonly $ZodIssue[])[]): readonly $ZodIssue[] {
  const atRoot = (branch: readonly $ZodIssue[]) =>
    branch.some((issue) => issue.code === 'invalid_type' && issue.path.length === 0)
  const ranked = [...branches].sort((a, b) => Number(atRoot(a)) - Number(atRoot(b)) || a.length - b.length)
  return ranked[0] ?? []
}

/** Query and path: Postgres holds no NUL. Bodies were looked at before they were parsed. */
const nulCharacters = (value: unknown): Finding[] =>
  Object.entries(value ?? {})
    .filter(([, text]) => typeof text === 'string' && text.includes('\0'))
    .map(([path]) => ({ path, message: 'must not hold a NUL character' }))

const PARTS: Record<string, string> = { body: 'the body', querystring: 'the query', params: 'the path' }

/** Zod at the edge: unknown keys, wrong types and ranges are 422 with one entry a path. */
export const validatorCompiler: FastifySchemaCompiler<$ZodType> =
  ({ schema, httpPart }) =>
  (data) => {
    const result = safeParse(schema, data)
    const errors = result.success ? nulCharacters(result.data) : findings(result.error.issues)
    if (result.success && errors.length === 0) return { value: result.data }
    const where = PARTS[httpPart ?? 'body'] ?? `the ${httpPart}`
    const shown = errors.slice(0, FINDINGS_LIMIT)
    const more = errors.length > shown.length ? ` and ${errors.length - shown.length} more` : ''
    const first = errors[0]
    const detail = `${where} does not match: ${first?.path || '(root)'}: ${first?.message}${
      errors.length > 1 ? `, ${errors.length} findings${more}` : ''
    }`
    return { error: new ProblemError('invalid_request', detail, { errors: shown }) }
  }
