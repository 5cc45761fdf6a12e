import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryRoot } from '@limbeck/platform'
import { describe, expect, it } from 'vitest'

const read = (path: string) => readFileSync(join(repositoryRoot, path), 'utf8')
const lines = (path: string) =>
  read(path)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')

describe('lock files', () => {
  it('hold no address of a registry', () => {
    const addresses = [...read('package-lock.json').matchAll(/"resolved": "([^"]*)"/g)].map(
      ([, value]) => value,
    )
    expect(addresses.filter((value) => !/^(packages|apps)\//.test(value ?? ''))).toEqual([])
    expect(read('workers/python/requirements.lock')).not.toMatch(/https?:|file:|@ /)
  })

  it('pin the packages of every platform, which npm ci insists on', () => {
    const check = () =>
      execFileSync(process.execPath, [join(repositoryRoot, 'scripts/complete-lock.mjs'), '--check'], {
        encoding: 'utf8',
      })
    expect(check()).toBe('')
  })

  it('pin each Python package by version, and the ones that are asked for as they are asked for', () => {
    const locked = lines('workers/python/requirements.lock').map((line) => line.split(' ;')[0] ?? '')
    for (const line of locked) expect(line).toMatch(/^[A-Za-z0-9._-]+==[A-Za-z0-9.]+$/)
    const name = (requirement: string) =>
      (requirement.split('==')[0] ?? '').toLowerCase().replaceAll('_', '-')
    const versions = new Map(locked.map((line) => [name(line), line.split('==')[1]]))
    for (const requirement of lines('workers/python/requirements.txt')) {
      const [, version] = requirement.split('==')
      expect(versions.has(name(requirement)), `${requirement} is not locked`).toBe(true)
      if (version !== undefined) expect(versions.get(name(requirement))).toBe(version)
    }
  })
})
