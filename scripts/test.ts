/**
 * `./limbeck test [--only NAME]...`: every suite but chaos (which takes half an hour), one after the other, each with its own output; the last line is
 * "N passed, N failed" over all of them. Status 1 where anything failed, or a suite ran no test at all.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import process, { argv, exit, stdout } from 'node:process'
import { parseArgs } from 'node:util'

interface Count {
  passed: number
  failed: number
  skipped: number
}

interface Suite {
  readonly name: string
  /** `--only` selects by it. */
  readonly group: 'typescript' | 'python' | 'chaos'
  readonly argv: readonly string[]
  readonly cwd?: string
  /** Reads what the suite reported; absent: the suite is one check, passed or failed by its status. */
  readonly count?: (status: number) => Count
}

const root = resolve(import.meta.dirname, '..')
const bin = (name: string) => join(root, 'node_modules', '.bin', name)
const python = join(root, '.limbeck', 'venv', 'bin', 'python')
const reports = mkdtempSync(join(tmpdir(), 'limbeck-test-'))
const limitMs = 50 * 60_000

function vitestCount(file: string): Count {
  const report = JSON.parse(readFileSync(file, 'utf8'))
  // A file that cannot be loaded holds no tests and still is a failure.
  const broken = report.testResults.filter(
    (each: { status: string; assertionResults: unknown[] }) =>
      each.status === 'failed' && each.assertionResults.length === 0,
  ).length
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken,
    skipped: report.numPendingTests + report.numTodoTests,
  }
}

function junitCount(file: string): Count {
  const suite = /<testsuite [^>]*>/.exec(readFileSync(file, 'utf8'))?.[0] ?? ''
  const number = (name: string) => Number(new RegExp(` ${name}="(\\d+)"`).exec(suite)?.[1] ?? 0)
  const failed = number('failures') + number('errors')
  const skipped = number('skipped')
  return { passed: number('tests') - failed - skipped, failed, skipped }
}

/** A report that is absent or empty means that the suite broke before its first test. */
const counted = (file: string, read: (file: string) => Count) => (status: number) => {
  const count = existsSync(file) ? read(file) : { passed: 0, failed: 0, skipped: 0 }
  const nothingRan = count.passed + count.failed === 0
  return { ...count, failed: Math.max(count.failed, status !== 0 || nothingRan ? 1 : 0) }
}

const vitestReport = join(reports, 'vitest.json')
const pytestReport = join(reports, 'pytest.xml')
const chaosReport = join(reports, 'chaos.json')

const suites: readonly Suite[] = [
  { name: 'format and lint (biome)', group: 'typescript', argv: [bin('biome'), 'check', '.'] },
  { name: 'types (tsc)', group: 'typescript', argv: [bin('tsc'), '-p', 'tsconfig.json'] },
  { name: 'types of the dashboard (tsc)', group: 'typescript', argv: [bin('tsc'), '-p', 'apps/dashboard'] },
  { name: 'lint (ruff)', group: 'python', argv: [python, '-m', 'ruff', 'check', 'workers/python'] },
  {
    name: 'types (pyright)',
    group: 'python',
    argv: [python, '-m', 'pyright', '--pythonpath', python],
    cwd: join(root, 'workers', 'python'),
  },
  {
    name: 'python (pytest)',
    group: 'python',
    argv: [python, '-m', 'pytest', '-q', `--junit-xml=${pytestReport}`],
    cwd: join(root, 'workers', 'python'),
    count: counted(pytestReport, junitCount),
  },
  {
    name: 'typescript (vitest)',
    group: 'typescript',
    argv: [
      bin('vitest'),
      'run',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${vitestReport}`,
    ],
    count: counted(vitestReport, vitestCount),
  },
  {
    name: 'kill -9 (vitest)',
    group: 'chaos',
    argv: [
      bin('vitest'),
      'run',
      '--config=vitest.chaos.config.ts',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${chaosReport}`,
    ],
    count: counted(chaosReport, vitestCount),
  },
]

function run(suite: Suite): Promise<number> {
  const [program = '', ...args] = suite.argv
  return new Promise((done) => {
    const child = spawn(program, args, {
      cwd: suite.cwd ?? root,
      stdio: ['ignore', 'inherit', 'inherit'],
      // One thread a process: two OpenMP threads beside any other busy process run many times slower.
      env: { ...process.env, OMP_NUM_THREADS: '1', CI: process.env.CI ?? '1' },
    })
    const timer = setTimeout(() => child.kill('SIGKILL'), limitMs)
    child.once('error', (error) => {
      stdout.write(`cannot run ${program}: ${error.message}\n`)
      done(127)
    })
    child.once('close', (status) => {
      clearTimeout(timer)
      done(status ?? 1)
    })
  })
}

const { values } = parseArgs({ args: argv.slice(2), options: { only: { type: 'string', multiple: true } } })
const only = values.only ?? ['typescript', 'python']
const unknown = only.filter((group) => !suites.some((suite) => suite.group === group))
if (unknown.length > 0) {
  stdout.write(`--only is "${unknown[0]}"; allowed: typescript, python, chaos\n`)
  exit(2)
}

mkdirSync(reports, { recursive: true })
const total: Count = { passed: 0, failed: 0, skipped: 0 }
const table: string[] = []
for (const suite of suites.filter(({ group }) => only.includes(group))) {
  stdout.write(`\n--- ${suite.name}\n`)
  const started = performance.now()
  const status = await run(suite)
  const count = suite.count?.(status) ?? {
    passed: status === 0 ? 1 : 0,
    failed: status === 0 ? 0 : 1,
    skipped: 0,
  }
  for (const key of ['passed', 'failed', 'skipped'] as const) total[key] += count[key]
  const seconds = ((performance.now() - started) / 1000).toFixed(0)
  table.push(
    `${suite.name.padEnd(32)} ${String(count.passed).padStart(5)} passed ${String(count.failed).padStart(3)} failed ` +
      `${String(count.skipped).padStart(3)} skipped ${seconds.padStart(5)} s`,
  )
}
rmSync(reports, { recursive: true, force: true })
stdout.write(`\n${table.join('\n')}\n${total.passed} passed, ${total.failed} failed\n`)
exit(total.failed === 0 ? 0 : 1)
