import { execFileSync } from 'node:child_process'
import { resolve } from 'node:path'
import { expect, it } from 'vitest'
import { StageKind, StageSpec } from '../src/index.ts'

const scripts = resolve(import.meta.dirname, '../scripts/generate.ts')

it('the committed Python models are those of the schemas', () => {
  execFileSync(process.execPath, [scripts, '--check'], { timeout: 60_000, stdio: 'pipe' })
}, 70_000)

it('every stage kind has a spec', () => {
  expect(StageSpec.options.map((option) => option.shape.kind.value)).toEqual(StageKind.options)
})
