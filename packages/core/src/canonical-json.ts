import { createHash } from 'node:crypto'
import type { Digest } from '@limbeck/contracts'
import canonicalize from 'canonicalize'

/** RFC 8785, so that Python (rfc8785) and this agree to the byte, floats included. */
export function canonicalJson(value: unknown): string {
  const text = canonicalize(value)
  if (text === undefined) throw new Error('undefined has no JSON form')
  return text
}

/** SHA-256 of the canonical JSON: the identity of a recipe, a protocol, a manifest. */
export function digestOf(value: unknown): Digest {
  return createHash('sha256').update(canonicalJson(value)).digest('hex')
}
