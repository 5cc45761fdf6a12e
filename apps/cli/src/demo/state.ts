import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'

const DemoState = z.record(z.string(), z.string())
const pathIn = (stateDir: string): string => join(stateDir, 'demo.json')

function read(stateDir: string): Record<string, string> {
  try {
    return DemoState.parse(JSON.parse(readFileSync(pathIn(stateDir), 'utf8')))
  } catch {
    // Absent or damaged: it only spares the user a second run.
    return {}
  }
}

/** The run that the last demo of this recipe submitted, if any. */
export const currentRun = (stateDir: string, recipe: string): string | null => read(stateDir)[recipe] ?? null

export function rememberRun(
  stateDir: string,
  recipe: string,
  run: string,
  write: (path: string, text: string) => void,
): void {
  write(pathIn(stateDir), `${JSON.stringify({ ...read(stateDir), [recipe]: run }, null, 2)}\n`)
}
