import { stdout } from 'node:process'
import { down } from '@limbeck/platform'
import type { Command } from 'commander'

export function registerDown(program: Command): void {
  program
    .command('down')
    .description('stop the embedded stack; its data stays unless --erase is given')
    .option('--erase', 'remove its data, passwords and ports as well')
    .action(async (options: { erase?: boolean }) => {
      stdout.write(
        (await down({ erase: options.erase === true }))
          ? 'The stack is down.\n'
          : 'The stack was not running.\n',
      )
    })
}
