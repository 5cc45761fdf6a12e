import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { MigrationList } from '@prisma/schema-engine-wasm'
import pg from 'pg'
import { MIGRATIONS_PATH, withSchemaEngine } from './engine.ts'

/** Any constant; two processes that migrate the same database at once wait for each other on it. */
const MIGRATION_LOCK = 7_154_221_905

async function readMigrations(): Promise<MigrationList> {
  const entries = await readdir(MIGRATIONS_PATH, { withFileTypes: true })
  const names = entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort()
  return {
    baseDir: MIGRATIONS_PATH,
    lockfile: {
      path: 'migration_lock.toml',
      content: await readFile(join(MIGRATIONS_PATH, 'migration_lock.toml'), 'utf8'),
    },
    shadowDbInitScript: '',
    migrationDirectories: await Promise.all(
      names.map(async (path) => ({
        path,
        migrationFile: {
          path: 'migration.sql',
          content: {
            tag: 'ok' as const,
            value: await readFile(join(MIGRATIONS_PATH, path, 'migration.sql'), 'utf8'),
          },
        },
      })),
    ),
  }
}

/**
 * Applies the migrations that the database has not seen, and writes them into `_prisma_migrations` as
 * `prisma migrate deploy` would. Safe to call from every replica at start.
 * @returns names of those applied now, in order
 * @throws Error where the server does not answer or a migration fails; nothing of that migration stays
 */
export async function migrate(url: string): Promise<string[]> {
  const migrationsList = await readMigrations()
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  client.on('error', () => {})
  await client.connect()
  try {
    await client.query("SET lock_timeout = '120s'")
    await client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK])
    // A replica that finds nothing to do, the usual case, starts no engine.
    if (await isCurrent(client, migrationsList)) return []
    const { appliedMigrationNames } = await withSchemaEngine(url, (engine) =>
      engine.applyMigrations({ migrationsList, filters: { externalTables: [], externalEnums: [] } }),
    )
    return appliedMigrationNames
  } finally {
    await client.end()
  }
}

async function isCurrent(client: pg.Client, list: MigrationList): Promise<boolean> {
  const table = await client.query<{ found: string | null }>(
    "SELECT to_regclass('_prisma_migrations') AS found",
  )
  if (table.rows[0]?.found == null) return false
  const { rows } = await client.query<{ migration_name: string }>(
    'SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL',
  )
  const applied = new Set(rows.map((row) => row.migration_name))
  return list.migrationDirectories.every(({ path }) => applied.has(path))
}
