import { UsageError } from './usage-error.ts'

/** "distill.training.steps=200": the value is JSON where it can be read as such, else text. */
export function overrideOf(text: string): [string, unknown] {
  const at = text.indexOf('=')
  if (at < 1) throw new UsageError(`--set takes PATH=VALUE, got "${text}"`)
  const value = text.slice(at + 1)
  try {
    return [text.slice(0, at), JSON.parse(value)]
  } catch {
    return [text.slice(0, at), value]
  }
}

/** Gathers an option that may be repeated, for commander. */
export const repeated = (value: string, all: string[]): string[] => [...all, value]
