import { stdout } from 'node:process'
import { status } from '@limbeck/platform'
import type { Command } from 'commander'
import { serviceTable } from '../service-table.ts'

export function registerStatus(program: Command): void {
  program
    .command('status')
    .description(
      'show the services of the embedded stack; status 1 where it is not running or one does not work',
    )
    .option('--json', 'print JSON')
    .action(async (options: { json?: boolean }) => {
      const result = await status()
      if (options.json === true) stdout.write(`${JSON.stringify(result, null, 2)}\n`)
      else stdout.write(result.running ? serviceTable(result.services) : 'The stack is not running.\n')
      const works = result.running && result.services.every(({ state }) => state === 'healthy')
      if (!works) process.exitCode = 1
    })
}
