import type { GateResult, ProblemCode } from '@limbeck/contracts'
import { fail, type Result } from '@limbeck/core'

/** An expected failure; the API answers with the problem of the same code. */
export interface StoreFailure {
  readonly code: ProblemCode
  /** What was found and what is allowed. */
  readonly detail: string
  /** Of `gates_failed`: those that did not pass. */
  readonly gates?: GateResult[]
}

export type StoreResult<T> = Promise<Result<T, StoreFailure>>

export const failure = (code: ProblemCode, detail: string): { ok: false; error: StoreFailure } =>
  fail({ code, detail })

export const notFound = (what: string, id: string): { ok: false; error: StoreFailure } =>
  failure('not_found', `there is no ${what} ${JSON.stringify(id)}`)
