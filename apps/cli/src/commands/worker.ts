import { spawn } from 'node:child_process'
import process from 'node:process'
import { childEnvironment, loadLocalConfig } from '@limbeck/platform'
import type { Command } from 'commander'
import { pythonPath } from '../python.ts'

/** Hands over to the Python agent, which has options of its own: `limbeck worker --help` lists them. */
export function registerWorker(program: Command): void {
  program
    .command('worker')
    .description(
      'run a worker on this machine; options are those of the agent (--api, --token-file, --name, ...)',
    )
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments()
    .action(async (_options: unknown, command: Command) => {
      const { python } = loadLocalConfig()
      const child = spawn(python, ['-m', 'limbeck.agent', ...command.args], {
        stdio: 'inherit',
        env: childEnvironment(pythonPath),
      })
      // The agent drains on the first signal and stops at once on the second; both must reach it.
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
      process.exitCode = await new Promise<number>((ended, failed) => {
        child.once('error', failed)
        child.once('close', (status) => ended(status ?? 1))
      })
    })
}
