import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PROBLEMS } from '@limbeck/contracts'
import { repositoryRoot } from '@limbeck/platform'
import { describe, expect, it } from 'vitest'
import { openApiDocument } from '../scripts/openapi-document.ts'

const document = await openApiDocument()
const page = readFileSync(join(repositoryRoot, 'docs/api.md'), 'utf8')

describe('docs/api.md', () => {
  it('lists every error of the catalogue, with its status and meaning, and no other', () => {
    const rows = [...page.matchAll(/^\| `([a-z_]+)` \| (\d{3}) \| (.+) \|$/gm)].map(
      ([, code, status, title]) => [code, [Number(status), title]],
    )
    expect(Object.fromEntries(rows)).toEqual(PROBLEMS)
  })

  it('has a row for every operation of the OpenAPI document', () => {
    const { paths } = document
    const absent = Object.keys(paths).filter((path) => {
      // Rows abbreviate what stands on the same line: "`POST /v1/runs/{run}/cancel`, `.../retry`".
      const end = path.split('/').at(-1) as string
      return !page.includes(path) && !page.includes(`.../${end}`)
    })
    expect(absent).toEqual([])
  })
})

describe('docs/openapi.json', () => {
  it('is the document of the routes (npm run openapi --workspace @limbeck/api writes it)', () => {
    const committed = JSON.parse(readFileSync(join(repositoryRoot, 'docs/openapi.json'), 'utf8'))
    expect(committed).toEqual(document)
  })

  it('describes errors as problems everywhere, and who may call', () => {
    expect(document.openapi).toBe('3.1.0')
    for (const [path, methods] of Object.entries(document.paths))
      for (const [method, operation] of Object.entries(methods)) {
        expect(operation.responses, `${method} ${path}`).toHaveProperty([
          '4XX',
          'content',
          'application/problem+json',
        ])
        expect(operation.summary, `${method} ${path}`).toBeTruthy()
      }
  })
})
