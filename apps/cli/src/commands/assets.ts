import { stdout } from 'node:process'
import { AssetCreate, AssetList, AssetView } from '@limbeck/contracts'
import type { Command } from 'commander'
import { type ConnectionOptions, connect, withConnection } from '../connection.ts'
import { table } from '../format.ts'
import { UsageError } from '../usage-error.ts'

interface NameOptions extends ConnectionOptions {
  name: string
  kind: string
  licence: string
  json?: true
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

  withConnection(assets.command('name <digest>'))
    .description(
      'give an artifact that is stored a name, e.g. the output of a stage to the recipe that goes on from it',
    )
    .requiredOption('--name <name>', 'how recipes call it: asset:<name>')
    .requiredOption('--kind <kind>', 'dataset, snapshot or model')
    .requiredOption('--licence <text>', 'of what it was made from')
    .option('--json', 'print JSON')
    .action(async (digest: string, { json, name, kind, licence, ...connection }: NameOptions) => {
      const request = AssetCreate.safeParse({ name, kind, digest, licence })
      if (!request.success) {
        const [issue] = request.error.issues
        throw new UsageError(`${issue?.path.join('.')}: ${issue?.message}`)
      }
      const asset = await connect(connection).post('/v1/assets', AssetView, request.data)
      stdout.write(json ? `${JSON.stringify(asset, null, 2)}\n` : `asset:${asset.name} ${asset.digest}\n`)
    })
}
