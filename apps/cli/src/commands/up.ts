import { stdout } from 'node:process'
import { up } from '@limbeck/platform'
import type { Command } from 'commander'
import { bringUp, dashboardAddress } from '../bring-up.ts'
import { serviceTable } from '../service-table.ts'

interface UpCommandOptions {
  newPorts?: boolean
  serversOnly?: boolean
  workers: string
  json?: boolean
}

export function registerUp(program: Command): void {
  program
    .command('up')
    .description('start the embedded stack, API and orchestrator, or find them running')
    .option('--workers <count>', 'CPU workers of one thread each', '0')
    .option('--servers-only', 'PostgreSQL, Valkey and S3, without API and orchestrator')
    .option('--new-ports', 'choose other ports (the stack must be down)')
    .option('--json', 'print the services as JSON')
    .action(async (options: UpCommandOptions) => {
      const first = await up({ newPorts: options.newPorts === true })
      const plane =
        options.serversOnly === true
          ? null
          : await bringUp({ workers: Number(options.workers), report: () => {} })
      const { services } = plane === null ? first : await up()
      const dashboard = plane === null ? null : await dashboardAddress(plane)
      if (options.json === true) {
        stdout.write(`${JSON.stringify({ started: first.started, services, dashboard }, null, 2)}\n`)
        return
      }
      stdout.write(
        `${first.started ? 'The stack is up.' : 'The stack was already up.'}\n${serviceTable(services)}`,
      )
      if (dashboard !== null) stdout.write(`Dashboard (signs you in once): ${dashboard}\n`)
    })
}
