/**
 * Writes what is derived from the schemas: the JSON Schema of the worker's wire types and, from it,
 * the Python models. `node packages/contracts/scripts/generate.ts [--check]`; --check changes
 * nothing and fails where the committed files differ (run by the tests).
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { PythonWireTypes } from '../src/python-wire-types.ts'

const root = resolve(import.meta.dirname, '../../..')
const target = join(root, 'workers/python/src/limbeck/contracts/generated.py')
const generator = process.env.DATAMODEL_CODEGEN ?? join(root, '.limbeck/venv/bin/datamodel-codegen')

type Node = Record<string, unknown>
const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null

/**
 * Bounds of scalars inside lists and maps would each become a class of their own in Python.
 * The zod schema has already judged them, so the Python side goes without.
 */
function withoutItemBounds(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutItemBounds)
  if (!isNode(value)) return value
  const scalar = (item: unknown): unknown =>
    isNode(item) &&
    typeof item.type === 'string' &&
    ['integer', 'number', 'string', 'boolean'].includes(item.type)
      ? { type: item.type }
      : withoutItemBounds(item)
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => {
      if (key === 'propertyNames') return [key, { type: 'string' }]
      if (key === 'items' || key === 'additionalProperties') return [key, scalar(child)]
      if (key === 'prefixItems' && Array.isArray(child)) return [key, child.map(scalar)]
      return [key, withoutItemBounds(child)]
    }),
  )
}

function pythonModels(): string {
  const schema = z.toJSONSchema(PythonWireTypes, { target: 'draft-2020-12', io: 'input' })
  const folder = mkdtempSync(join(tmpdir(), 'limbeck-contracts-'))
  try {
    const input = join(folder, 'wire.json')
    const output = join(folder, 'generated.py')
    writeFileSync(input, JSON.stringify(withoutItemBounds(schema)))
    execFileSync(
      generator,
      [
        ...['--input', input, '--input-file-type', 'jsonschema', '--output', output],
        ...['--output-model-type', 'pydantic_v2.BaseModel', '--target-python-version', '3.11'],
        ...['--class-name', 'WireTypes', '--extra-fields', 'forbid', '--enable-faux-immutability'],
        ...['--use-annotated', '--field-constraints', '--use-schema-description', '--use-field-description'],
        ...['--enum-field-as-literal', 'all', '--use-one-literal-as-default', '--strict-nullable'],
        ...[
          '--use-union-operator',
          '--use-standard-collections',
          '--use-tuple-for-fixed-items',
          '--collapse-root-models',
        ],
        ...['--disable-timestamp', '--formatters', 'ruff-format', '--disable-future-imports'],
        ...[
          '--custom-file-header',
          '"""Wire types generated from packages/contracts; run its scripts/generate.ts, do not edit."""\n',
        ],
      ],
      { timeout: 60_000, stdio: ['ignore', 'inherit', 'inherit'] },
    )
    return readFileSync(output, 'utf8')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const wanted = pythonModels()
if (process.argv.includes('--check')) {
  if (readFileSync(target, 'utf8') !== wanted) {
    console.error(`${target} differs from the schemas: run node packages/contracts/scripts/generate.ts`)
    process.exit(1)
  }
} else {
  writeFileSync(target, wanted)
  console.log(`wrote ${target}`)
}
