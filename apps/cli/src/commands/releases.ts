import { stdout } from 'node:process'
import { ModelVersionList, PromotionList, PromotionView, ReleaseView } from '@limbeck/contracts'
import type { Command } from 'commander'
import { type ConnectionOptions, connect, withConnection } from '../connection.ts'
import { table } from '../format.ts'

export function registerReleases(program: Command): void {
  withConnection(program.command('models').description('model versions, with what their gates said'))
    .option('--run <run>', 'only those of a run')
    .action(async (options: ConnectionOptions & { run?: string }) => {
      const query = options.run === undefined ? '' : `?run=${encodeURIComponent(options.run)}`
      const { models } = await connect(options).get(`/v1/models${query}`, ModelVersionList)
      const rows = models.map((model) => [
        model.id,
        model.name,
        model.version,
        model.promotable
          ? 'yes'
          : `no: ${model.gates
              .filter((gate) => !gate.passed)
              .map((gate) => gate.name)
              .join(', ')}`,
        model.aliases.join(', '),
        model.created_at,
      ])
      stdout.write(
        rows.length === 0
          ? 'No model version.\n'
          : `${table(['id', 'name', 'version', 'promotable', 'aliases', 'made'], rows)}\n`,
      )
    })

  const releases = program.command('releases').description('aliases and the ledger of promotions')

  withConnection(releases.command('list').description('the ledger, newest first')).action(
    async (options: ConnectionOptions) => {
      const { promotions } = await connect(options).get('/v1/promotions', PromotionList)
      const rows = promotions.map((each) => [
        each.created_at,
        each.alias,
        each.model_version,
        each.previous,
        each.promoted_by,
        each.reason,
      ])
      stdout.write(
        rows.length === 0
          ? 'No promotion.\n'
          : `${table(['at', 'alias', 'model version', 'before', 'by', 'reason'], rows)}\n`,
      )
    },
  )

  withConnection(releases.command('show <alias>').description('what an alias stands for, as JSON')).action(
    async (alias: string, options: ConnectionOptions) => {
      stdout.write(
        `${JSON.stringify(await connect(options).get(`/v1/releases/${encodeURIComponent(alias)}`, ReleaseView), null, 2)}\n`,
      )
    },
  )

  withConnection(
    releases
      .command('promote <model-version> <alias>')
      .description('move an alias; refused, with the list, while a gate fails'),
  )
    .option('--reason <text>', 'kept in the ledger', '')
    .action(async (model_version: string, alias: string, options: ConnectionOptions & { reason: string }) => {
      const promotion = await connect(options).post('/v1/promotions', PromotionView, {
        model_version,
        alias,
        reason: options.reason,
      })
      stdout.write(`${promotion.alias} is ${promotion.model_version}, manifest ${promotion.manifest}\n`)
    })
}
