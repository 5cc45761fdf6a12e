import { closeSync, openSync } from 'node:fs'
import { resolve } from 'node:path'
import { UsageError } from './usage-error.ts'

/**
 * The file that a long command will write to, tried before it begins: a quarter of an hour later is too late.
 * @throws UsageError where it cannot be written.
 */
export function outputFile(option: string, path: string): string {
  const file = resolve(path)
  try {
    closeSync(openSync(file, 'a'))
  } catch (error) {
    throw new UsageError(`${option}: ${file} cannot be written (${(error as NodeJS.ErrnoException).code})`)
  }
  return file
}
