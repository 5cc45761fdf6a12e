import { stdout } from 'node:process'
import { down } from '@limbeck/platform'
import type { Command } from 'commander'

export function registerDown(program: Command): void {
  program
    .command('down')
    .description('stop the embedded stack; its data stays')
    .action(async () => {
      stdout.write((await down()) ? 'The stack is down.\n' : 'The stack was not running.\n')
    })
}
