/** The `limbeck` command. It only registers: each command has a file of its own in `commands/`. */
import { argv, exit, stderr } from 'node:process'
import { ConfigError, StackError } from '@limbeck/platform'
import { Command } from 'commander'
import { registerDown } from './commands/down.ts'
import { registerStatus } from './commands/status.ts'
import { registerUp } from './commands/up.ts'

const program = new Command('limbeck')
  .description('Distils a large diffusion teacher into a model that runs on a phone.')
  .showHelpAfterError()

for (const register of [registerUp, registerDown, registerStatus]) register(program)

try {
  await program.parseAsync(argv)
} catch (error) {
  // Failures that a user can act on are one message; anything else is a bug and shows where it came from.
  const expected = error instanceof ConfigError || error instanceof StackError
  stderr.write(`limbeck: ${expected ? error.message : ((error as Error).stack ?? String(error))}\n`)
  exit(1)
}
