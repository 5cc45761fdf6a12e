import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadLocalConfig, repositoryRoot } from '@limbeck/platform'
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

it('compares two sets of features, and refuses those of different width', { timeout: 60_000 }, () => {
  const { python } = loadLocalConfig()
  const script = `
import numpy as np
draw = np.random.default_rng(0)
for name, width, shift in (("a", 8, 0.0), ("b", 8, 1.0), ("c", 4, 0.0)):
    np.savez(name, features=draw.normal(shift, size=(300, width)))`
  expect(spawnSync(python, ['-c', script], { cwd: folder }).status).toBe(0)

  const { stdout, status } = limbeck('frechet', 'a.npz', 'b.npz', '--json', 'distance.json')
  expect(status).toBe(0)
  expect(stdout).toMatch(/^Frechet@300: \d+\.\d+ {2}\(300 and 300 samples, 8 wide\)\nKID: \d+\.?\d*/)
  expect(stdout).toContain('not stated by both, so not compared: extractor, resize, dataset')
  const written = JSON.parse(readFileSync(join(folder, 'distance.json'), 'utf8'))
  expect(written).toMatchObject({ n: 300, label: 'Frechet@300', width: 8 })

  expect(limbeck('frechet', 'a.npz', 'c.npz')).toEqual({
    status: 2,
    stdout: '',
    stderr:
      'limbeck: a.npz and c.npz: features of different width cannot be compared: the first has 8, the second 4\n',
  })
})

it('prints what others published, marked as such', { timeout: 60_000 }, () => {
  const { stdout } = limbeck('published')
  expect(stdout).toMatch(/^SnapGen +0\.38B +0\.66 /m)
  expect(stdout).toContain('under protocols of their own; not comparable')
})

it('scores DPG by both rules; what strict refuses is said with its line', { timeout: 60_000 }, () => {
  const columns =
    'item_id,text,keywords,proposition_id,dependency,category_broad,category_detailed,tuple,question_natural_language'
  const question = (item: string, proposition: number, dependency: number): string =>
    `${item},a,,${proposition},${dependency},entity,whole,entity - whole (x),Is it?`
  writeFileSync(
    join(folder, 'questions.csv'),
    [columns, question('a', 1, 0), question('b', 1, 0), question('b', 2, 1), ''].join('\n'),
  )
  const answers = 'item_id,image,proposition_id,answer\na,0,1,yes\nb,0,1,no\nb,0,2,yes\n'
  writeFileSync(join(folder, 'answers.csv'), answers)
  const { stdout, stderr, status } = limbeck('dpg', 'questions.csv', 'answers.csv', '--json', 'dpg.json')
  expect(stderr).toBe('')
  expect(status).toBe(0)
  expect(stdout).toMatch(/^dpg-strict-1 +50\.0 +0\.0 \.\. 100\.0 +2 +2 +33\.3$/m)
  // The program ignores the first row of questions, so item a has none.
  expect(stdout).toMatch(/^dpg-compat-1 +0\.0 .* +1 +1 +50\.0$/m)
  expect(stdout).toContain('note: dpg-compat-1 leaves out a: no such prompt')
  expect(JSON.parse(readFileSync(join(folder, 'dpg.json'), 'utf8')).strict.items).toHaveLength(2)

  writeFileSync(join(folder, 'more.csv'), `${answers}b,0,3,yes\n`)
  const refused = limbeck('dpg', 'questions.csv', 'more.csv')
  expect(refused.status).toBe(2)
  expect(refused.stdout).toContain('dpg-compat-1')
  expect(refused.stderr).toBe(
    'limbeck: strict refused: more.csv, line 5: an answer to the unknown question 3 of b; it has 1, 2\n',
  )
})
