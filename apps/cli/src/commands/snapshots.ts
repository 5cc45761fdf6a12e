import { stderr, stdout } from 'node:process'
import { AssetList, AssetView, Name } from '@limbeck/contracts'
import type { Command } from 'commander'
import { z } from 'zod'
import { type ConnectionOptions, connect, withConnection } from '../connection.ts'
import { bytes, table } from '../format.ts'
import { PythonError, runPython } from '../python.ts'
import { uploadTree } from '../trees.ts'
import { UsageError } from '../usage-error.ts'

/** Headers of a few thousand tensors are read in a second; diffusers takes some to import. */
const CHECK_MS = 300_000

const Checked = z.strictObject({ components: z.record(z.string(), z.int()), bytes: z.number() })

interface AddOptions extends ConnectionOptions {
  name: string
  licence: string
  json?: true
}

/** Teachers and encoders as assets: folders of config.json and safetensors, named by their content. */
export function registerSnapshots(program: Command): void {
  const snapshots = program.command('snapshots').description('weights that recipes name as asset:<name>')

  withConnection(snapshots.command('add <folder>'))
    .description(
      'check a folder laid out as SD3.5’s, store it and give it a name; nothing is sent when it is not whole',
    )
    .requiredOption('--name <name>', 'how recipes call it: asset:<name>')
    .requiredOption('--licence <text>', 'of the weights; carried into every release that descends from them')
    .option('--json', 'print JSON')
    .action(async (folder: string, options: AddOptions) => {
      const name = Name.safeParse(options.name)
      if (!name.success) throw new UsageError(`--name: "${options.name}" ${name.error.issues[0]?.message}`)
      const found = checked(folder)
      const client = connect(options)
      const held = Object.entries(found.components).map(([part, tensors]) => `${part} (${tensors} tensors)`)
      stderr.write(`${folder}: ${bytes(found.bytes)}, ${held.join(', ')}\n`)
      const digest = await uploadTree(client, folder, (done, total) =>
        stderr.write(`stored ${bytes(done)} of ${bytes(total)}\n`),
      )
      const asset = await client.post('/v1/assets', AssetView, {
        name: name.data,
        kind: 'snapshot',
        digest,
        licence: options.licence,
      })
      stdout.write(options.json ? `${JSON.stringify(asset, null, 2)}\n` : `asset:${asset.name} ${digest}\n`)
    })

  withConnection(snapshots.command('list'))
    .description('the snapshots that recipes can name')
    .option('--json', 'print JSON')
    .action(async ({ json, ...connection }: ConnectionOptions & { json?: true }) => {
      const { assets } = await connect(connection).get('/v1/assets', AssetList)
      const found = assets.filter(({ kind }) => kind === 'snapshot')
      if (json) stdout.write(`${JSON.stringify(found, null, 2)}\n`)
      else if (found.length === 0) stdout.write('No snapshots: `limbeck snapshots add` stores one.\n')
      else
        stdout.write(
          `${table(
            ['name', 'digest', 'licence'],
            found.map(({ name, digest, licence }) => [name, digest.slice(0, 12), licence]),
          )}\n`,
        )
    })
}

function checked(folder: string): z.infer<typeof Checked> {
  try {
    return Checked.parse(JSON.parse(runPython('limbeck.models.check_snapshot', [folder], CHECK_MS)))
  } catch (error) {
    if (error instanceof PythonError && error.status === 2)
      throw new UsageError(`${folder} is no snapshot that a worker could load:\n${error.stderr.trim()}`)
    throw error
  }
}
