import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { repositoryRoot } from '@limbeck/platform'
import { expect, it } from 'vitest'

const folder = mkdtempSync(join(tmpdir(), 'limbeck-eval-'))

function limbeck(...argv: string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(repositoryRoot, 'apps/cli/src/main.ts'), 'eval', ...argv],
    { encoding: 'utf8', timeout: 120_000, cwd: folder },
  )
  return { status, stdout, stderr }
}

const cat = { class: 'cat', score: 0.9, box: [0, 0, 10, 10], colour: null }
const metadata = { tag: 'single_object', include: [{ class: 'cat', count: 1 }], prompt: 'a cat' }
const lines = (...detections: object[][]): string =>
  detections.map((rows) => `${JSON.stringify({ metadata, detections: rows })}\n`).join('')

it('scores a file of detections, beside another, and writes the verdicts', { timeout: 60_000 }, () => {
  writeFileSync(join(folder, 'a.jsonl'), lines([cat], [cat], [cat], []))
  writeFileSync(join(folder, 'b.jsonl'), lines([cat], [], [], []))
  const { status, stdout, stderr } = limbeck(
    'geneval',
    'a.jsonl',
    '--against',
    'b.jsonl',
    '--json',
    'out.json',
  )
  expect(stderr).toBe('')
  expect(status).toBe(0)
  expect(stdout).toMatch(/^single_object +0\.750 +0\.750 \.\. 0\.750 +4 +\+0\.500 +\+0\.500 \.\. \+0\.500$/m)
  const { images } = JSON.parse(readFileSync(join(folder, 'out.json'), 'utf8'))
  expect(images[3]).toEqual({ correct: false, reason: 'expected 1 cat, found 0' })
})

it('names file and line of what cannot be judged, with status 2', { timeout: 60_000 }, () => {
  writeFileSync(join(folder, 'bad.jsonl'), lines([cat], [{ ...cat, box: [9, 0, 8, 1] }]))
  expect(limbeck('geneval', 'bad.jsonl')).toEqual({
    status: 2,
    stdout: '',
    stderr:
      'limbeck: bad.jsonl, line 2: detections[0]: box [9.0, 0.0, 8.0, 1.0] must be finite, [x0, y0, x1, y1] with x1 >= x0 and y1 >= y0\n',
  })
})
