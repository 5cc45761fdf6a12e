import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { childEnvironment, loadLocalConfig, repositoryRoot } from '@limbeck/platform'

/** Where a Python process of ours finds the packages of this checkout. */
export const pythonPath = { PYTHONPATH: join(repositoryRoot, 'workers/python/src') }

/** A module of ours ended with another status than 0; the message holds what it said. */
export class PythonError extends Error {
  override name = 'PythonError'
  readonly status: number | null
  readonly stderr: string

  constructor(module: string, status: number | null, stderr: string) {
    super(`${module} ended with ${status}:\n${stderr}`)
    this.status = status
    this.stderr = stderr
  }
}

/**
 * Runs `python -m MODULE ARGS...` to its end. @returns what it printed.
 * @param answers statuses beside 0 that are answers and no failures
 */
export function runPython(
  module: string,
  args: readonly string[],
  timeoutMs: number,
  answers: readonly number[] = [],
): string {
  const { python } = loadLocalConfig()
  const { status, stdout, stderr, error } = spawnSync(python, ['-m', module, ...args], {
    encoding: 'utf8',
    timeout: timeoutMs,
    maxBuffer: 64 * 2 ** 20,
    env: childEnvironment(pythonPath),
  })
  if (error) throw error
  if (status !== 0 && !answers.includes(status ?? -1)) throw new PythonError(module, status, stderr)
  return stdout
}
