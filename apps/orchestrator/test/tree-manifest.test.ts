import { canonicalJson } from '@limbeck/core'
import { describe, expect, it } from 'vitest'
import { parseManifest } from '../src/tree-manifest.ts'

const sha256 = 'a'.repeat(64)
const tree = (...paths: string[]) => ({
  format: 'limbeck-tree-1',
  files: paths.map((path) => ({ path, size: 1, sha256 })),
})

describe('parseManifest', () => {
  it('takes the canonical JSON of a manifest', () => {
    const manifest = tree('a.txt', 'b/c.txt')
    expect(parseManifest(canonicalJson(manifest))).toEqual({ ok: true, value: manifest })
  })

  it.each(['../a', 'a/../../b', '/etc/passwd', 'a//b', './a', 'a\\b', 'a/..'])(
    'refuses the path %s',
    (path) => {
      expect(parseManifest(canonicalJson(tree(path)))).toMatchObject({
        ok: false,
        error: expect.stringContaining('path'),
      })
    },
  )

  it.each([
    ['not JSON', 'nonsense'],
    ['another format', canonicalJson({ format: 'zip', files: [] })],
    ['an unknown key', canonicalJson({ ...tree('a'), mode: 1 })],
    ['paths out of order', canonicalJson(tree('b', 'a'))],
    ['a path twice', canonicalJson(tree('a', 'a'))],
    ['another spelling of the same tree', JSON.stringify(tree('a'), null, 2)],
  ])('refuses %s', (_what, text) => {
    expect(parseManifest(text).ok).toBe(false)
  })
})
