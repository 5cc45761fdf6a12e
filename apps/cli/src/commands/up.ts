import { stdout } from 'node:process'
import { up } from '@limbeck/platform'
import type { Command } from 'commander'
import { serviceTable } from '../service-table.ts'

export function registerUp(program: Command): void {
  program
    .command('up')
    .description('start the embedded stack, or find it running')
    .option('--new-ports', 'choose other ports (the stack must be down)')
    .option('--json', 'print the services as JSON')
    .action(async (options: { newPorts?: boolean; json?: boolean }) => {
      const { services, started } = await up({ newPorts: options.newPorts === true })
      if (options.json === true) {
        stdout.write(`${JSON.stringify({ started, services }, null, 2)}\n`)
        return
      }
      stdout.write(`${started ? 'The stack is up.' : 'The stack was already up.'}\n${serviceTable(services)}`)
    })
}
