import { z } from 'zod'

/**
 * Every error the API gives: code, status and title together, in one catalogue. Codes are stable
 * and never reused; docs/api.md lists them, and a test holds both to each other.
 */
export const PROBLEMS = {
  invalid_request: [422, 'The request does not match its schema'],
  malformed_json: [400, 'The body is not JSON'],
  body_too_large: [413, 'The body is larger than this endpoint takes'],
  unsupported_media_type: [415, 'The body must be application/json'],
  unauthenticated: [401, 'A valid token is needed'],
  forbidden: [403, 'The token lacks the scope'],
  not_found: [404, 'There is no such thing'],
  unknown_recipe: [422, 'There is no recipe of that name'],
  invalid_recipe: [422, 'The stages of the recipe do not fit together'],
  invalid_override: [422, 'An override does not fit the recipe'],
  unknown_asset: [422, 'A data set or snapshot is not registered'],
  asset_exists: [409, 'An asset of that name has another content'],
  unknown_artifact: [422, 'The artifact is not stored'],
  artifact_not_verified: [409, 'The artifact is not verified yet'],
  artifact_mismatch: [409, 'The stored bytes do not have the promised digest'],
  idempotency_key_reused: [422, 'The Idempotency-Key belongs to another request'],
  idempotency_key_in_progress: [409, 'The first request with this Idempotency-Key is still running'],
  lease_lost: [409, 'Another attempt owns the stage, or the lease has ended'],
  output_conflict: [409, 'This attempt has completed with another output'],
  conflict: [409, 'The state does not allow this'],
  bad_signature: [422, 'The signature does not fit the record'],
  gates_failed: [409, 'Gates failed or were not measured'],
  rate_limited: [429, 'Too many requests'],
  unavailable: [503, 'A server that this needs does not answer'],
  internal: [500, 'An unexpected error'],
} as const satisfies Record<string, readonly [number, string]>

export type ProblemCode = keyof typeof PROBLEMS

/** RFC 9457 problem details, application/problem+json. */
export const Problem = z
  .strictObject({
    type: z.string().describe('urn:limbeck:problem:<code>'),
    code: z.enum(Object.keys(PROBLEMS) as [ProblemCode, ...ProblemCode[]]),
    title: z.string(),
    status: z.int(),
    detail: z.string().describe('what was found and what is allowed'),
    request_id: z.string(),
    errors: z
      .array(z.strictObject({ path: z.string(), message: z.string() }))
      .optional()
      .describe('for invalid_request, one a path'),
    gates: z
      .array(
        z.strictObject({
          name: z.string(),
          measured: z.number().nullable(),
          required: z.string(),
          detail: z.string(),
        }),
      )
      .optional()
      .describe('for gates_failed'),
  })
  .meta({ id: 'Problem' })
export type Problem = z.infer<typeof Problem>
