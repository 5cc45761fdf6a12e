import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { outputFile } from '../src/output-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'limbeck-output-'))
afterAll(() => rmSync(folder, { recursive: true }))

it('names a file that can be written, and leaves what is in it', () => {
  const file = join(folder, 'kept.json')
  writeFileSync(file, '{}')
  expect(outputFile('--json', file)).toBe(file)
  expect(readFileSync(file, 'utf8')).toBe('{}')
})

it.each([
  [join(folder, 'absent', 'out.json'), 'ENOENT'],
  [folder, 'EISDIR'],
])('refuses %s before the work begins', (path, code) => {
  expect(() => outputFile('--json', path)).toThrow(`--json: ${path} cannot be written (${code})`)
})
