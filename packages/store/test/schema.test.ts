import pg from 'pg'
import { afterAll, expect, it } from 'vitest'
import { createTestDatabase } from '../../../tests/support/stack.ts'
import { migrate } from '../src/index.ts'
import { schemaAsSql } from '../src/schema/engine.ts'

async function open(url: string): Promise<pg.Client> {
  const client = new pg.Client(url)
  await client.connect()
  afterAll(() => client.end())
  return client
}

/** Columns, keys and indexes by name, sorted; what the schema's language cannot say is left out. */
async function catalogue(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ line: string }>(`
    SELECT format('column %s.%s %s %s %s', table_name, column_name, udt_name, is_nullable,
      coalesce(column_default, '-')) AS line
    FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> '_prisma_migrations'
    UNION ALL
    SELECT format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype NOT IN ('c', 'n')
      AND conrelid::regclass::text <> '_prisma_migrations'
    UNION ALL
    SELECT format('index %s', indexdef) FROM pg_indexes
    WHERE schemaname = 'public' AND tablename <> '_prisma_migrations' AND indexname NOT LIKE '%\\_partial'
    ORDER BY line`)
  return rows.map((row) => row.line)
}

it('the migrations make what schema.prisma says', async () => {
  const migrated = await createTestDatabase()
  await migrate(migrated.url)
  const described = await createTestDatabase()
  const client = await open(described.url)
  await client.query(await schemaAsSql(described.url))
  const expected = await catalogue(client)
  expect(expected.length).toBeGreaterThan(100)
  expect(await catalogue(await open(migrated.url))).toEqual(expected)
})

it('migrates once when several replicas start together, and leaves Prisma’s own record', async () => {
  const { url } = await createTestDatabase()
  const applied = await Promise.all([migrate(url), migrate(url), migrate(url)])
  const names = applied.flat()
  expect(names.length).toBeGreaterThanOrEqual(2)
  expect(new Set(names).size).toBe(names.length)
  expect(await migrate(url)).toEqual([])
  const client = await open(url)
  const { rows } = await client.query(
    'SELECT migration_name, applied_steps_count, length(checksum) AS checksum FROM _prisma_migrations ORDER BY 1',
  )
  expect(rows.map((row) => row.migration_name)).toEqual([...names].sort())
  expect(rows.every((row) => row.checksum === 64)).toBe(true)
})

it('refuses, whatever statement comes, to change the ledger, the audit log or a success', async () => {
  const { url } = await createTestDatabase()
  await migrate(url)
  const client = await open(url)
  await client.query(
    "INSERT INTO audit_log (actor, action, resource, request_id) VALUES ('a', 'b', 'c', 'd')",
  )
  await client.query(`
    INSERT INTO promotion (id, project, alias, model_version_id, manifest_digest, manifest, promoted_by, reason)
    VALUES ('prm_1', 'p', 'mobile-canary', 'mdl_1', 'x', '{}', 'me', '');
    INSERT INTO run (id, project, recipe, recipe_version, recipe_digest, recipe_body, overrides, assets, label, priority,
      cache, cache_salt, state, submitted_by)
    VALUES ('run_1', 'p', 'r', 1, 'x', '{}', '{}', '{}', '', 50, 'use', '', 'succeeded', 'me');
    INSERT INTO stage (id, run_id, project, name, kind, position, state, spec, inputs, resource_class, priority,
      max_seconds, stall_seconds)
    VALUES ('stg_1', 'run_1', 'p', 'a', 'gates', 0, 'succeeded', '{}', '{}', 'cpu', 50, 1, 1),
           ('stg_2', 'run_1', 'p', 'b', 'gates', 1, 'queued', '{}', '{}', 'cpu', 50, 1, 1);
    UPDATE stage SET epoch = 2 WHERE id = 'stg_2'`)
  for (const [statement, message] of [
    ["UPDATE audit_log SET actor = 'x'", 'append-only'],
    ['DELETE FROM audit_log', 'append-only'],
    ['TRUNCATE audit_log', 'append-only'],
    ["UPDATE promotion SET reason = 'x'", 'append-only'],
    ['DELETE FROM promotion', 'append-only'],
    ["UPDATE stage SET output_digest = 'x' WHERE id = 'stg_1'", 'has succeeded'],
    ["UPDATE stage SET epoch = 1 WHERE id = 'stg_2'", 'epoch of stage stg_2 falls'],
    // A running stage without a lease, and a lease without a running stage.
    ["UPDATE stage SET state = 'running' WHERE id = 'stg_2'", 'stage_lease_check'],
    ["UPDATE stage SET lease_worker = 'w' WHERE id = 'stg_2'", 'stage_lease_check'],
    ["UPDATE stage SET state = 'done' WHERE id = 'stg_2'", 'stage_state_check'],
  ] as const)
    await expect(client.query(statement)).rejects.toThrow(message)
})

it('says which server does not answer', async () => {
  await expect(migrate('postgresql://nobody@127.0.0.1:1/none')).rejects.toThrow('ECONNREFUSED 127.0.0.1:1')
})
