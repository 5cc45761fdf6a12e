import { stderr, stdout } from 'node:process'
import { AssetCreate, AssetList, AssetView } from '@limbeck/contracts'
import type { Command } from 'commander'
import type { z } from 'zod'
import { type ConnectionOptions, connect, withConnection } from '../connection.ts'
import { bytes, table } from '../format.ts'
import { uploadTree } from '../trees.ts'
import { UsageError } from '../usage-error.ts'

interface NameOptions extends ConnectionOptions {
  name: string
  kind: string
  licence: string
  json?: true
}

function parsed<T>(schema: z.ZodType<T>, value: unknown): T {
  const { success, data, error } = schema.safeParse(value)
  if (success) return data
  const [issue] = error.issues
  throw new UsageError(`${issue?.path.join('.')}: ${issue?.message}`)
}

/** What recipes name as asset:<name>: data sets, snapshots, models. */
export function registerAssetCommands(program: Command): void {
  const assets = program.command('assets').description('what recipes name as asset:<name>')

  withConnection(assets.command('list'))
    .description('data sets, snapshots and models')
    .option('--json', 'print JSON')
    .action(async ({ json, ...connection }: ConnectionOptions & { json?: true }) => {
      const found = await connect(connection).get('/v1/assets', AssetList)
      const rows = found.assets.map(({ name, kind, digest, licence }) => [name, kind, digest, licence])
      if (json) stdout.write(`${JSON.stringify(found.assets, null, 2)}\n`)
      else stdout.write(`${table(['asset', 'kind', 'digest', 'licence'], rows)}\n`)
    })

  withConnection(assets.command('add <folder>'))
    .description('store a folder as it is and give it a name; snapshots are checked first: `snapshots add`')
    .requiredOption('--name <name>', 'how recipes call it: asset:<name>')
    .requiredOption('--kind <kind>', 'dataset or model')
    .requiredOption('--licence <text>', 'of what is in it')
    .option('--json', 'print JSON')
    .action(async (folder: string, { json, name, kind, licence, ...connection }: NameOptions) => {
      if (kind === 'snapshot')
        throw new UsageError('--kind snapshot: use `limbeck snapshots add`, which checks it')
      // The digest is known when all is stored; the rest is refused before anything is sent.
      const request = parsed(AssetCreate.omit({ digest: true }), { name, kind, licence })
      const client = connect(connection)
      const digest = await uploadTree(client, folder, (done, total) =>
        stderr.write(`stored ${bytes(done)} of ${bytes(total)}\n`),
      )
      const asset = await client.post('/v1/assets', AssetView, { ...request, digest })
      stdout.write(json ? `${JSON.stringify(asset, null, 2)}\n` : `asset:${asset.name} ${asset.digest}\n`)
    })

  withConnection(assets.command('name <digest>'))
    .description(
      'give an artifact that is stored a name, e.g. the output of a stage to the recipe that goes on from it',
    )
    .requiredOption('--name <name>', 'how recipes call it: asset:<name>')
    .requiredOption('--kind <kind>', 'dataset, snapshot or model')
    .requiredOption('--licence <text>', 'of what it was made from')
    .option('--json', 'print JSON')
    .action(async (digest: string, { json, name, kind, licence, ...connection }: NameOptions) => {
      const request = parsed(AssetCreate, { name, kind, digest, licence })
      const asset = await connect(connection).post('/v1/assets', AssetView, request)
      stdout.write(json ? `${JSON.stringify(asset, null, 2)}\n` : `asset:${asset.name} ${asset.digest}\n`)
    })
}
