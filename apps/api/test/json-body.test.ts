import Fastify from 'fastify'
import { describe, expect, it } from 'vitest'
import type { App } from '../src/context.ts'
import { installErrorHandler } from '../src/errors.ts'
import { installJsonParser } from '../src/json-body.ts'

async function post(payload: string, type = 'application/json') {
  const app = Fastify() as unknown as App
  installJsonParser(app)
  const lines: string[] = []
  const log = { error: (event: string) => lines.push(event) } as never
  installErrorHandler(app, log)
  app.post('/', async (request) => ({ got: request.body }))
  const response = await app.inject({ method: 'POST', url: '/', payload, headers: { 'content-type': type } })
  return { status: response.statusCode, body: response.json() as Record<string, unknown>, lines }
}

describe('a JSON body', () => {
  it.each([
    ['{"a": ', 400, 'malformed_json'],
    ['{"__proto__": {"admin": true}}', 400, 'malformed_json'],
    ['{"a": "\\u0000"}', 422, 'invalid_request'],
    ['{"a": "\\ud83d"}', 422, 'invalid_request'],
    ['{"a": "\\ude00"}', 422, 'invalid_request'],
  ])('%s is refused', async (payload, status, code) => {
    const answer = await post(payload)
    expect(answer).toMatchObject({ status, body: { code, type: `urn:limbeck:problem:${code}` }, lines: [] })
  })

  it.each([
    '{"a":"\\ud83d\\ude00"}',
    '{"a":"\\\\u0000 printed"}',
    '{"a":"\\\\\\\\u0000"}',
    '{"a":"\\u00e9"}',
  ])('%s is text like any other', async (payload) => {
    expect(await post(payload)).toMatchObject({ status: 200, body: { got: JSON.parse(payload) } })
  })

  it('is JSON and nothing else', async () => {
    expect(await post('a=b', 'application/x-www-form-urlencoded')).toMatchObject({
      status: 415,
      body: { code: 'unsupported_media_type' },
    })
  })
})
