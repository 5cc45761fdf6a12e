/** Crockford's base 32 without i, l, o, u, lower case: sorts like the number it writes. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'

export const ID_PREFIXES = [
  'run',
  'stg',
  'wrk',
  'upl',
  'evl',
  'mdl',
  'prm',
  'tok',
  'clm',
  'msr',
  'vot',
] as const
export type IdPrefix = (typeof ID_PREFIXES)[number]

/**
 * A ULID behind its prefix: 48 bits of time, 80 of randomness, so ids sort by creation.
 * @param time_ms milliseconds since 1970, 0 to 2^48 - 1
 * @param randomness 10 bytes
 * @throws RangeError
 */
export function makeId(prefix: IdPrefix, time_ms: number, randomness: Uint8Array): string {
  if (!Number.isInteger(time_ms) || time_ms < 0 || time_ms >= 2 ** 48)
    throw new RangeError(`time_ms is ${time_ms}; allowed: an integer from 0 to 2^48 - 1`)
  if (randomness.length !== 10)
    throw new RangeError(`randomness has ${randomness.length} bytes; allowed: exactly 10`)
  const random = randomness.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n)
  return `${prefix}_${encode(BigInt(time_ms), 10)}${encode(random, 16)}`
}

function encode(value: bigint, length: number): string {
  let text = ''
  for (let rest = value; text.length < length; rest >>= 5n) text = `${ALPHABET[Number(rest & 31n)]}${text}`
  return text
}
