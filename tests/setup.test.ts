import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ResourceClass } from '@limbeck/contracts'
import { repositoryRoot } from '@limbeck/platform'
import { describe, expect, it } from 'vitest'

const IMAGES = ['detector', 'inception', 'vqa']
const LOCKS = [
  'workers/python/requirements.lock',
  ...IMAGES.filter((image) => image !== 'detector').map((image) => `infra/images/${image}/requirements.lock`),
]

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
    for (const lock of LOCKS) expect(read(lock)).not.toMatch(/https?:|file:|@ /)
  })

  it('pin the packages of every platform, which npm ci insists on', () => {
    const check = () =>
      execFileSync(process.execPath, [join(repositoryRoot, 'scripts/complete-lock.mjs'), '--check'], {
        encoding: 'utf8',
      })
    expect(check()).toBe('')
  })

  it.each(LOCKS)('%s pins each package by version, as it is asked for', (lock) => {
    const locked = lines(lock).map((line) => line.split(' ;')[0] ?? '')
    for (const line of locked) expect(line).toMatch(/^[A-Za-z0-9._-]+==[A-Za-z0-9.]+$/)
    const name = (requirement: string) =>
      (requirement.split('==')[0] ?? '').toLowerCase().replaceAll('_', '-')
    const versions = new Map(locked.map((line) => [name(line), line.split('==')[1]]))
    for (const asked of lines(lock.replace('.lock', '.txt'))) {
      if (asked.startsWith('#')) continue
      const requirement = asked.replace(/[<>].*/, '')
      const version = requirement.split('==')[1]
      if (version?.endsWith('*')) continue
      expect(versions.has(name(requirement)), `${requirement} is not locked`).toBe(true)
      if (version !== undefined) expect(versions.get(name(requirement))).toBe(version)
    }
  })
})

describe('job images', () => {
  it.each(IMAGES)('%s is built from files of the repository, and takes stages of its own class', (image) => {
    const file = read(`infra/images/${image}/Dockerfile`)
    const copied = [...file.matchAll(/^COPY (\S+) /gm)].map(([, path]) => path ?? '')
    expect(copied.length).toBe(2)
    for (const path of copied) expect(existsSync(join(repositoryRoot, path)), path).toBe(true)
    expect(file).toContain(`"--resource-class", "${image}"`)
    expect(ResourceClass.options).toContain(image)
  })
})
