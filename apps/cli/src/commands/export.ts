import { stdout } from 'node:process'
import { type Command, Option } from 'commander'
import { z } from 'zod'
import { PythonError, runPython } from '../python.ts'
import { UsageError } from '../usage-error.ts'

const Finding = z.strictObject({ rule: z.string(), operation: z.string(), message: z.string() })
const Check = z.strictObject({
  packages: z.record(z.string(), z.array(Finding)),
  golden: z.record(z.string(), z.strictObject({ psnr_db: z.coerce.number(), as_reported: z.boolean() })),
  sound: z.boolean(),
})
type Check = z.infer<typeof Check>

/** Exported folders; needs no server, no model and no Mac. */
export function registerExport(program: Command): void {
  program
    .command('export')
    .description('exported Core ML packages')
    .command('check <folder>')
    .description(
      'rules, digests and golden pairs of a folder that an export wrote; status 1 where something is wrong',
    )
    .addOption(new Option('--target <target>', "instead of the report's").choices(['iOS17', 'iOS18']))
    .option('--json', 'print JSON')
    .action((folder: string, { target, json }: { target?: string; json?: true }) => {
      const found = check(['check', ...(target === undefined ? [] : [`--target=${target}`]), '--', folder])
      stdout.write(json ? `${JSON.stringify(found, null, 2)}\n` : `${shown(found)}\n`)
      if (!found.sound) process.exitCode = 1
    })
}

/** Exit status of the checker that is an answer and no failure: something was found. */
const FOUND = 3

function check(argv: readonly string[]): Check {
  try {
    return Check.parse(JSON.parse(runPython('limbeck.export', argv, 600_000, [FOUND])))
  } catch (error) {
    if (error instanceof PythonError && error.status === 2) throw new UsageError(error.stderr.trim(), 2)
    throw error
  }
}

function shown({ packages, golden, sound }: Check): string {
  const lines = Object.entries(packages).flatMap(([name, findings]) => {
    const pair = golden[name]
    const figure = pair
      ? `, golden pair ${pair.psnr_db.toFixed(1)} dB${pair.as_reported ? '' : ', NOT as reported'}`
      : ''
    if (findings.length === 0) return [`${name}.mlpackage: rules and digests hold${figure}`]
    return findings.map(
      ({ rule, operation, message }) =>
        `${name}.mlpackage: ${rule}: ${operation && `${operation}: `}${message}`,
    )
  })
  return [...lines, sound ? 'sound' : 'NOT sound'].join('\n')
}
