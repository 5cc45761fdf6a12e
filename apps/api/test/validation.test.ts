import { RunCreate } from '@limbeck/contracts'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { findings } from '../src/validation.ts'

const of = (schema: z.ZodType, value: unknown) => findings(schema.safeParse(value).error?.issues ?? [])

describe('findings', () => {
  it('names each unknown key by its own path', () => {
    const schema = z.strictObject({ a: z.strictObject({ b: z.int() }) })
    expect(of(schema, { a: { b: 1, c: 2, d: 3 } })).toEqual([
      { path: 'a.c', message: 'unknown key' },
      { path: 'a.d', message: 'unknown key' },
    ])
  })

  it('says of a union what the branch that came closest says', () => {
    const [first] = of(RunCreate, { recipe: { name: 'x', version: 'one', summary: '', stages: [] } })
    expect(first?.path).toBe('recipe.version')
    expect(of(RunCreate, { recipe: 'Not A Name' })[0]).toMatchObject({
      path: 'recipe',
      message: expect.stringContaining('1-64'),
    })
  })

  it('finds nothing in what fits', () => {
    expect(of(RunCreate, { recipe: 'tiny-shapes' })).toEqual([])
  })
})
