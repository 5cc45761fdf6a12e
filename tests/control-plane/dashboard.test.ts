import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Plane, startPlane } from './support/plane.ts'

const folder = mkdtempSync(join(tmpdir(), 'limbeck-dashboard-'))
let plane: Plane
beforeAll(async () => {
  mkdirSync(join(folder, 'assets'))
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>Limbeck</title>')
  writeFileSync(join(folder, 'assets', 'index-1a2b.js'), 'export {}')
  plane = await startPlane({ orchestrator: false, dashboard: folder })
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const html = { accept: 'text/html,application/xhtml+xml' }

describe('the dashboard', () => {
  it('is served without a token: its page at every address of its own, its files for ever', async () => {
    const open = plane.withToken(null)
    for (const path of ['/', '/runs/run_01k00000000000000000000000', '/runs?state=failed']) {
      const page = await open.get(path, html)
      expect(page).toMatchObject({ status: 200, body: expect.stringContaining('<title>Limbeck') })
      expect(page.headers.get('cache-control')).toBe('no-cache')
      expect(page.headers.get('content-security-policy')).toContain("default-src 'self'")
    }
    const file = await open.get('/assets/index-1a2b.js')
    expect(file.headers.get('cache-control')).toContain('immutable')
    expect(file.headers.get('x-content-type-options')).toBe('nosniff')
  })

  it('is never the answer to a call of the API or to a file that is not there', async () => {
    for (const path of ['/v1/nothing', '/assets/gone.js'])
      expect(await plane.as('viewer').get(path, html)).toMatchObject({
        status: 404,
        body: { code: 'not_found' },
      })
    expect((await plane.as('viewer').get('/runs')).status).toBe(404)
    expect((await plane.withToken(null).get('/../../package.json', html)).body).not.toContain('workspaces')
    expect((await plane.withToken(null).get('/%2e%2e/%2e%2e/package.json', html)).body).not.toContain(
      'workspaces',
    )
  })
})
