/** The `limbeck` script up to the point where it would install: what it says when something it needs is missing. */
import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { childEnvironment, repositoryRoot } from '@limbeck/platform'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const folder = mkdtempSync(join(tmpdir(), 'limbeck-entry-'))
const checkout = join(folder, 'a checkout')
const programs = join(folder, 'bin')

beforeAll(() => {
  mkdirSync(checkout)
  mkdirSync(programs)
  const files = execFileSync(
    'git',
    [
      'ls-files',
      '*package.json',
      'package-lock.json',
      'scripts',
      'workers/python/requirements.lock',
      'limbeck',
    ],
    {
      cwd: repositoryRoot,
      encoding: 'utf8',
    },
  )
  for (const file of files.trim().split('\n')) cpSync(join(repositoryRoot, file), join(checkout, file))
  symlinkSync(join(repositoryRoot, 'node_modules'), join(checkout, 'node_modules'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A program on PATH before all others. */
function program(name: string, script: string): string {
  const path = join(programs, name)
  writeFileSync(path, `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o755)
  return path
}

function start(args: string[], env: Record<string, string | undefined> = {}) {
  const node = process.execPath.slice(0, process.execPath.lastIndexOf('/'))
  const PATH = `${programs}:${node}:${process.env.PATH}`
  const result = spawnSync(join(checkout, 'limbeck'), args, {
    env: childEnvironment({ PATH, LIMBECK_STATE_DIR: undefined, ...env }),
    encoding: 'utf8',
    timeout: 60_000,
  })
  return { status: result.status, text: result.stderr }
}

describe('the entry script', () => {
  it('finds the packages of a developer’s own npm install, and leaves its stamp', () => {
    program('npm', 'echo "npm was called" >&2; exit 9')
    const { text } = start(['setup'], { LIMBECK_TORCH: 'jax' })
    expect(text).not.toContain('npm was called')
    expect(readFileSync(join(checkout, '.limbeck/stamps/node-packages'), 'utf8')).toMatch(/^[0-9a-f]{64}$/)
  })

  it('says what LIMBECK_TORCH may hold', () => {
    const { status, text } = start(['setup'], { LIMBECK_TORCH: 'jax' })
    expect(status).toBe(1)
    expect(text).toContain('LIMBECK_TORCH is "jax"; allowed: a requirement of torch, as torch==2.13.0+cu130')
  })

  it('names the package that holds venv and ensurepip where they are missing', () => {
    const real = execFileSync('/bin/sh', ['-c', 'command -v python3'], { encoding: 'utf8' }).trim()
    const path = program('python-without-venv', `case "$*" in *ensurepip*) exit 1 ;; esac\nexec ${real} "$@"`)
    const { status, text } = start(['setup'], { LIMBECK_BASE_PYTHON: path })
    expect(status).toBe(1)
    expect(text).toMatch(
      /Python 3\.\d+ has no venv and ensurepip; on Debian and Ubuntu: sudo apt install python3\.\d+-venv/,
    )
    expect(existsSync(join(checkout, '.limbeck/venv'))).toBe(false)
  })

  it('says which Python it needs where all are too old', () => {
    for (const name of ['python3', 'python3.11', 'python3.12', 'python3.13'])
      program(name, 'case "$1" in --version) echo Python 3.9.2 ;; *) exit 1 ;; esac')
    const { status, text } = start(['setup'])
    expect(status).toBe(1)
    expect(text).toContain('Python 3.11 or newer is needed; found Python 3.9.2')
  })

  it('shows the end of a failed installation and tries it again at the next start', () => {
    const failing = program(
      'python-that-cannot-install',
      'case "$*" in *version_info*) echo 3.11 ;; *"-m venv"*) echo "No space left on device"; exit 28 ;; esac',
    )
    for (const _ of ['first', 'second']) {
      const { status, text } = start(['setup'], { LIMBECK_BASE_PYTHON: failing })
      expect(status).toBe(1)
      expect(text).toContain('No space left on device')
      expect(text).toContain('Python environment failed with status 28')
    }
    expect(existsSync(join(checkout, '.limbeck/stamps/python-packages'))).toBe(false)
  })
})
