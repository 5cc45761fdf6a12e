import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { ConfigError, currentSettings, loadConfig, loadLocalConfig, redactedValue } from '../src/config.ts'

const folder = mkdtempSync(join(tmpdir(), 'limbeck-config-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const own = {
  LIMBECK_STATE_DIR: folder,
  DATABASE_URL: 'postgresql://me:hunter2@db.example:5432/limbeck',
  REDIS_URL: 'redis://:hunter2@cache.example:6379/0',
  S3_ENDPOINT: 'https://s3.example',
  S3_BUCKET: 'models',
  S3_ACCESS_KEY_ID: 'AKIDEXAMPLE',
  S3_SECRET_ACCESS_KEY: 'hunter2hunter2',
  LIMBECK_API_PORT: '8080',
}

const problemsOf = (env: Record<string, string>): string[] => {
  try {
    loadConfig({ ...own, ...env })
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as Error).message.split('\n')
  }
  throw new Error('the configuration was accepted')
}

describe('configuration', () => {
  it('takes servers of the user’s own from the environment, with no stack there', () => {
    const config = loadConfig(own)
    expect(config.database_url).toBe(own.DATABASE_URL)
    expect(config.s3).toMatchObject({
      bucket: 'models',
      region: 'us-east-1',
      public_endpoint: 'https://s3.example',
    })
    expect(config.api).toEqual({ host: '127.0.0.1', port: 8080 })
  })

  it('signs for the public endpoint when there is one', () => {
    const config = loadConfig({ ...own, S3_PUBLIC_ENDPOINT: 'https://files.example' })
    expect(config.s3).toMatchObject({
      endpoint: 'https://s3.example',
      public_endpoint: 'https://files.example',
    })
  })

  it.each([
    ['LIMBECK_API_PORT', '70000', 'LIMBECK_API_PORT is "70000"; allowed: a TCP port, 1 to 65535'],
    ['LIMBECK_API_PORT', 'http', 'LIMBECK_API_PORT is "http"; allowed: a TCP port, 1 to 65535'],
    [
      'LOG_LEVEL',
      'verbose',
      'LOG_LEVEL is "verbose"; allowed: one of trace, debug, info, warn, error, fatal, silent',
    ],
    ['LIMBECK_LISTEN', 'everywhere', /^LIMBECK_LISTEN is "everywhere"; allowed: an IP address/],
    ['S3_BUCKET', 'A', /^S3_BUCKET is "A"; allowed: a bucket name: 3-63/],
    [
      'DATABASE_URL',
      'mysql://me:hunter2@db/x',
      /^DATABASE_URL is "mysql:\/\/me:\*\*\*@db\/x"; allowed: a PostgreSQL URL/,
    ],
    ['REDIS_URL', 'localhost', /^REDIS_URL is \(not a URL, 9 characters, not shown\); allowed:/],
  ])('says in one line what is wrong with %s=%s', (name, value, message) => {
    const problems = problemsOf({ [name]: value })
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(message)
  })

  it('names every wrong variable at once', () => {
    expect(problemsOf({ LIMBECK_API_PORT: '0', LOG_LEVEL: 'no' })).toHaveLength(2)
  })

  it('asks for the keys that go with an endpoint', () => {
    const { S3_SECRET_ACCESS_KEY: _, ...without } = own
    expect(() => loadConfig(without)).toThrow(
      /^S3_SECRET_ACCESS_KEY is not set; S3_ENDPOINT names a server of yours/,
    )
  })

  it('says how to get servers where there are none', () => {
    expect(() => loadConfig({ LIMBECK_STATE_DIR: folder })).toThrow(
      /^DATABASE_URL, REDIS_URL, S3_ENDPOINT, LIMBECK_API_PORT: not set, .* run \.\/limbeck up first$/,
    )
  })

  it('names a damaged stack file', () => {
    const damaged = mkdtempSync(join(folder, 'damaged-'))
    writeFileSync(join(damaged, 'stack.json'), '{"version":1,"ports":{}}')
    expect(() => loadConfig({ LIMBECK_STATE_DIR: damaged })).toThrow(/stack\.json is damaged/)
  })

  it('treats an empty variable as unset', () => {
    expect(loadLocalConfig({ LIMBECK_STATE_DIR: folder, DATABASE_URL: '' }).external).toEqual({})
  })

  it('never shows a password, whatever it is', () => {
    const password = fc.stringMatching(/^[A-Za-z0-9!$&'()*+,;=~._-]{6,30}$/)
    fc.assert(
      fc.property(password, fc.constantFrom('DATABASE_URL', 'REDIS_URL', 'S3_ENDPOINT'), (secret, name) => {
        const shown = redactedValue(name, `wrong://user:${secret}@host/path`)
        expect(shown).not.toContain(secret)
        expect(redactedValue(name, `wrong//user:${secret}@host`)).not.toContain(secret)
        expect(redactedValue('S3_SECRET_ACCESS_KEY', secret)).not.toContain(secret)
      }),
    )
  })

  it('tells settings apart without holding their values', () => {
    const one = currentSettings(own)
    const two = currentSettings({ ...own, DATABASE_URL: `${own.DATABASE_URL}2` })
    expect(Object.keys(one)).not.toContain('LIMBECK_STATE_DIR')
    expect(one.REDIS_URL).toBe(two.REDIS_URL)
    expect(one.DATABASE_URL).not.toBe(two.DATABASE_URL)
    expect(JSON.stringify(one)).not.toContain('hunter2')
  })
})
