import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createLogger, redact, redactText } from '../src/index.ts'

const secret = 'Zq8hunter2Zq8hunter2'

describe('redaction', () => {
  it.each([
    ['a token of ours', `token lmbk_${secret}`],
    ['an authorization header', `Authorization: Bearer ${secret}`],
    ['a database URL', `postgresql://limbeck:${secret}@127.0.0.1:5432/limbeck`],
    ['a Redis URL without user', `redis://:${secret}@127.0.0.1:6379`],
    ['a password with an @', `redis://:a@${secret}@127.0.0.1:6379`],
    ['a presigned URL', `GET http://s3/b/k?X-Amz-Expires=60&X-Amz-Signature=${secret}&x=1`],
    ['a key id in a presigned URL', `http://s3/b/k?X-Amz-Credential=${secret}%2F20260101&x=1`],
    ['a one-time code', `http://127.0.0.1:8080/?code=${secret}`],
    ['a private key', `-----BEGIN EC PRIVATE KEY-----\n${secret}\n-----END EC PRIVATE KEY-----`],
  ])('hides %s in a text', (_, text) => {
    expect(redactText(text)).not.toContain(secret)
    expect(redactText(text)).toContain('[redacted]')
  })

  it('keeps what is no secret', () => {
    const text = 'stage stg_01 at http://127.0.0.1:8080/v1/runs?cursor=abc&limit=20 took 3 s'
    expect(redactText(text)).toBe(text)
  })

  it.each([
    'password',
    'PGPASSWORD',
    'authorization',
    'Set-Cookie',
    'secret_access_key',
    's3SecretAccessKey',
    'admin_token',
    'api-key',
  ])('hides what stands under the key %s, at any depth', (key) => {
    const value = { a: [{ [key]: secret }], [key]: { nested: secret } }
    expect(JSON.stringify(redact(value))).not.toContain(secret)
  })

  it('hides a password that an error quotes, and keeps its code', () => {
    const error = Object.assign(new Error(`connect redis://:${secret}@host failed`), {
      code: 'ECONNREFUSED',
      cause: new Error(`Bearer ${secret}`),
    })
    const shown = redact({ error }) as { error: { code: string } }
    expect(JSON.stringify(shown)).not.toContain(secret)
    expect(shown.error.code).toBe('ECONNREFUSED')
  })

  it('ends on cycles and depth', () => {
    const cycle: Record<string, unknown> = {}
    cycle.self = cycle
    expect(redact(cycle)).toEqual({ self: '[cut]' })
  })

  it('leaves plain data as it is', () => {
    const plain = fc.jsonValue({ maxDepth: 4, noUnicodeString: true } as fc.JsonSharedConstraints)
    const harmless = (value: unknown) =>
      !/[?&=@]|lmbk_|bearer|basic|BEGIN|pass|secret|token|code|cookie|key|signature|authorization|__proto__/i.test(
        JSON.stringify(value),
      )
    fc.assert(
      fc.property(plain.filter(harmless), (value) => {
        expect(redact(value)).toEqual(value)
      }),
    )
  })
})

describe('log', () => {
  const collect = () => {
    const lines: string[] = []
    return { lines, destination: { write: (line: string) => void lines.push(line) } }
  }

  it('writes one JSON line an event, with level, service and fields', () => {
    const { lines, destination } = collect()
    createLogger({ level: 'info', service: 'api', destination })
      .with({ run: 'run_1' })
      .info('stage_claimed', { stage: 'stg_1', password: secret })
    expect(lines).toHaveLength(1)
    const line = JSON.parse(lines[0] ?? '')
    expect(line).toMatchObject({
      level: 'info',
      service: 'api',
      event: 'stage_claimed',
      run: 'run_1',
      stage: 'stg_1',
      password: '[redacted]',
    })
  })

  it('leaves out what is below its level', () => {
    const { lines, destination } = collect()
    createLogger({ level: 'warn', service: 'api', destination }).info('not_shown')
    expect(lines).toEqual([])
  })

  it('hides secrets in errors and in the fields of a child', () => {
    const { lines, destination } = collect()
    const log = createLogger({ level: 'info', service: 'api', destination }).with({ authorization: secret })
    log.error('request_failed', { error: new Error(`postgresql://u:${secret}@h/d`) })
    expect(lines.join()).not.toContain(secret)
  })
})
