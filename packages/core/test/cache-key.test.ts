import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type CacheIdentity, cacheKey, canonicalJson, digestOf } from '../src/index.ts'

const identity: CacheIdentity = {
  project: 'default',
  kind: 'render_dataset',
  code_digest: 'a'.repeat(64),
  environment: { torch: '2.13.0+cpu', device: 'cpu-x86_64', threads: 1, python: '3.11' },
  spec: {
    kind: 'render_dataset',
    source: 'shapes',
    hold_out: 'shapes-v1',
    split: 'train',
    samples: 10,
    resolution: 64,
    samples_per_shard: 1000,
    wrong_captions: 0,
    seed: 0,
  },
  inputs: { dataset: 'b'.repeat(64) },
  salt: '',
}

describe('cacheKey', () => {
  it('is the same for the same content in another key order', () => {
    const reversed = Object.fromEntries(Object.entries(identity).reverse()) as unknown as CacheIdentity
    expect(cacheKey(reversed)).toBe(cacheKey(identity))
  })

  it.each<[string, Partial<CacheIdentity>]>([
    ['project', { project: 'other' }],
    ['code', { code_digest: 'c'.repeat(64) }],
    ['threads', { environment: { ...identity.environment, threads: 2 } }],
    ['torch build', { environment: { ...identity.environment, torch: '2.13.0+cu130' } }],
    ['parameters', { spec: { ...identity.spec, seed: 1 } as CacheIdentity['spec'] }],
    ['inputs', { inputs: { dataset: 'd'.repeat(64) } }],
    ['salt', { salt: 'again' }],
  ])('changes with the %s', (_what, change) => {
    expect(cacheKey({ ...identity, ...change })).not.toBe(cacheKey(identity))
  })
})

describe('canonicalJson', () => {
  it('reads back as what was written, with sorted keys', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
    expect(canonicalJson({ b: 1.0, a: [0.5, 1e21] })).toBe('{"a":[0.5,1e+21],"b":1}')
  })

  it('has the digest that Python computes for the same value', () => {
    // rfc8785.dumps({"grid": [1.0, 0.75], "steps": 4}) in Python; tests/contracts holds the other half.
    expect(digestOf({ steps: 4, grid: [1, 0.75] })).toBe(
      '4f60a59a4e3eba211244417faafbfefa2aa9dd711f61743b403f0e79f72c29ae',
    )
  })
})
