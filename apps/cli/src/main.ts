/** The `limbeck` command. It only registers: each command has a file of its own in `commands/`. */
import { argv, exit, stderr } from 'node:process'
import { ConfigError, StackError } from '@limbeck/platform'
import { Command } from 'commander'
import { ApiError } from './client.ts'
import { registerAssetCommands } from './commands/assets.ts'
import { registerDemo } from './commands/demo.ts'
import { registerDown } from './commands/down.ts'
import { registerEval } from './commands/eval.ts'
import { registerExport } from './commands/export.ts'
import { registerModel } from './commands/model.ts'
import { registerRecipes } from './commands/recipes.ts'
import { registerReleases } from './commands/releases.ts'
import { registerRuns } from './commands/runs.ts'
import { registerSnapshots } from './commands/snapshots.ts'
import { registerStatus } from './commands/status.ts'
import { registerStudy } from './commands/study.ts'
import { registerUp } from './commands/up.ts'
import { registerWorker } from './commands/worker.ts'
import { UsageError } from './usage-error.ts'

const program = new Command('limbeck')
  .description('Distils a large diffusion teacher into a model that runs on a phone.')
  .showHelpAfterError()

for (const register of [
  registerDemo,
  registerRuns,
  registerRecipes,
  registerReleases,
  registerModel,
  registerEval,
  registerExport,
  registerSnapshots,
  registerAssetCommands,
  registerStudy,
  registerWorker,
  registerUp,
  registerDown,
  registerStatus,
])
  register(program)

try {
  await program.parseAsync(argv)
} catch (error) {
  // Failures that a user can act on are one message; anything else is a bug and shows where it came from.
  const expected = [ConfigError, StackError, ApiError, UsageError].some((kind) => error instanceof kind)
  stderr.write(
    `limbeck: ${expected ? (error as Error).message : ((error as Error).stack ?? String(error))}\n`,
  )
  exit(error instanceof UsageError ? error.status : 1)
}
