/**
 * Prisma's schema engine from its npm package: the engine of Prisma's command line is a download that
 * a machine without open internet does not get.
 */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { PrismaPg } from '@prisma/adapter-pg'
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils'
import type { SchemaEngine } from '@prisma/schema-engine-wasm'
import * as glue from '@prisma/schema-engine-wasm/schema_engine_bg'

export const SCHEMA_PATH = fileURLToPath(new URL('../../../../prisma/schema.prisma', import.meta.url))
export const MIGRATIONS_PATH = fileURLToPath(new URL('../../../../prisma/migrations', import.meta.url))

/** What of the global is used; the library of the language has no types for it without a browser's. */
declare const WebAssembly: {
  instantiate(
    bytes: Uint8Array,
    imports: Record<string, unknown>,
  ): Promise<{ instance: { exports: Record<string, unknown> } }>
}

interface Glue {
  __wbg_set_wasm(exports: Record<string, unknown>): void
  SchemaEngine: typeof SchemaEngine
}

/**
 * The adapter cuts a script at every semicolon, also inside a function's body or a comment. Sent whole, it is
 * one implicit transaction too: a migration that fails leaves nothing behind.
 */
class WholeScripts extends PrismaPg {
  override async connect() {
    const connection = await super.connect()
    connection.executeScript = async (script) => {
      await connection.underlyingDriver().query(script)
    }
    return connection
  }
}

let loaded: Promise<Glue> | undefined

/** The package's own entry imports the .wasm file as a module, which Node runs only with a warning. */
async function load(): Promise<Glue> {
  const file = new URL(
    'schema_engine_bg.wasm',
    import.meta.resolve('@prisma/schema-engine-wasm/schema_engine_bg'),
  )
  const bindings = glue as unknown as Glue
  const { instance } = await WebAssembly.instantiate(await readFile(file), {
    './schema_engine_bg.js': bindings,
  })
  bindings.__wbg_set_wasm(instance.exports)
  ;(instance.exports.__wbindgen_start as () => void)()
  return bindings
}

/** Runs `use` with an engine on the database at `url` and frees it afterwards. */
export async function withSchemaEngine<T>(
  url: string,
  use: (engine: SchemaEngine) => Promise<T>,
): Promise<T> {
  loaded ??= load()
  const { SchemaEngine } = await loaded
  const adapter = new WholeScripts({ connectionString: url, connectionTimeoutMillis: 5_000, max: 2 })
  const schema = await readFile(SCHEMA_PATH, 'utf8')
  const engine = await SchemaEngine.new(
    { datamodels: [['schema.prisma', schema]] },
    () => {},
    bindMigrationAwareSqlAdapterFactory(adapter),
  )
  try {
    return await use(engine)
  } finally {
    engine.free()
  }
}

/** The SQL that makes schema.prisma's tables in an empty database. */
export async function schemaAsSql(url: string): Promise<string> {
  const content = await readFile(SCHEMA_PATH, 'utf8')
  const { stdout } = await withSchemaEngine(url, (engine) =>
    engine.diff({
      from: { tag: 'empty' },
      to: { tag: 'schemaDatamodel', files: [{ path: 'schema.prisma', content }] },
      script: true,
      exitCode: null,
      filters: { externalTables: [], externalEnums: [] },
    }),
  )
  return stdout ?? ''
}
