/** Removes what nobody may read from what is logged: tokens, passwords, keys, signatures of presigned URLs. */

/** Keys whose values are never shown, whatever they hold. Compared without case and separators. */
const secretKeys =
  /^(password|passwd|secret|secrets|token|accesstoken|refreshtoken|apikey|authorization|cookie|setcookie|secretaccesskey|accesskeyid|privatekey|signature|code)$/

const isSecretKey = (key: string): boolean => {
  const plain = key.toLowerCase().replaceAll(/[^a-z0-9]/g, '')
  return secretKeys.test(plain) || /(password|secret|token|secretaccesskey)$/.test(plain)
}

const mask = '[redacted]'

const patterns: readonly (readonly [RegExp, string])[] = [
  // Tokens of this project: mark, random part. The short prefix that lists show stays.
  [/\blmbk_[A-Za-z0-9_-]{8,}/g, `lmbk_${mask}`],
  [/\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{6,}/gi, `$1 ${mask}`],
  // scheme://user:password@host; the password may hold anything but "/" and blanks, "@" included.
  [/([a-z][a-z0-9+.-]*:\/\/[^\s/:@]*):[^\s/]*@/gi, `$1:${mask}@`],
  [
    /([?&](?:X-Amz-Signature|X-Amz-Credential|X-Amz-Security-Token|Signature|AWSAccessKeyId|token|code)=)[^&\s"']+/gi,
    `$1${mask}`,
  ],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/g, mask],
]

export function redactText(text: string): string {
  return patterns.reduce((result, [pattern, replacement]) => result.replace(pattern, replacement), text)
}

const maxDepth = 8

/** A copy fit to print: secret keys masked, texts cleaned, errors as data, cycles and depths cut. */
export function redact(value: unknown, depth = 0, seen: readonly object[] = []): unknown {
  if (typeof value === 'string') return redactText(value)
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || value === null) return value
  if (depth >= maxDepth || seen.includes(value)) return '[cut]'
  const path = [...seen, value]
  if (value instanceof Date) return value.toISOString()
  if (value instanceof URL) return redactText(value.href)
  if (value instanceof Error) return redactError(value, depth, path)
  if (Array.isArray(value)) return value.map((each) => redact(each, depth + 1, path))
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [
      key,
      isSecretKey(key) && each !== null && each !== undefined ? mask : redact(each, depth + 1, path),
    ]),
  )
}

function redactError(error: Error, depth: number, path: readonly object[]): unknown {
  const { code, cause } = error as Error & { code?: unknown }
  return {
    name: error.name,
    message: redactText(error.message),
    // A driver's "code" is a name such as ECONNREFUSED, not a secret.
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    ...(error.stack === undefined ? {} : { stack: redactText(error.stack) }),
    ...(cause === undefined ? {} : { cause: redact(cause, depth + 1, path) }),
  }
}
