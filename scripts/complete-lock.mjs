/**
 * Adds to package-lock.json the optional packages of other platforms that npm left out, by version. npm leaves out
 * what it could not see when it wrote the lock (a registry without them, an existing node_modules), and `npm ci` then
 * refuses the lock. Run it after `npm install`; `--check` changes nothing and has status 1 where something is missing.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { argv, exit, stdout } from 'node:process'

const path = resolve(import.meta.dirname, '../package-lock.json')
const lock = JSON.parse(readFileSync(path, 'utf8'))
const systems = [
  'linux',
  'darwin',
  'win32',
  'freebsd',
  'openbsd',
  'netbsd',
  'android',
  'sunos',
  'aix',
  'openharmony',
]
const processors = [
  'x64',
  'arm64',
  'ia32',
  'arm',
  'ppc64',
  's390x',
  'riscv64',
  'loong64',
  'mips64el',
  'wasm32',
]

/** What the package's name says of its platform: "@biomejs/cli-darwin-arm64". */
function platformOf(name) {
  const parts = name.split(/[/_.-]/)
  const os = systems.filter((system) => parts.includes(system))
  const cpu = processors.filter((processor) => parts.includes(processor))
  const libc = parts.includes('musl') ? ['musl'] : []
  return Object.fromEntries(Object.entries({ os, cpu, libc }).filter(([, values]) => values.length > 0))
}

/** Where Node, and npm, look for `name` from the package at `from`. */
function isLocked(from, name) {
  for (let at = from; ; at = at.slice(0, at.lastIndexOf('/node_modules/'))) {
    if (lock.packages[`${at}${at === '' ? '' : '/'}node_modules/${name}`] !== undefined) return true
    if (!at.includes('/node_modules/')) return lock.packages[`node_modules/${name}`] !== undefined
  }
}

const missing = []
for (const [from, { optionalDependencies = {}, dev }] of Object.entries(lock.packages))
  for (const [name, version] of Object.entries(optionalDependencies)) {
    if (isLocked(from, name)) continue
    const platform = platformOf(name)
    // Only exact versions of packages for another platform can be written down without asking a registry.
    if (!/^\d+\.\d+\.\d+[\w.+-]*$/.test(version) || Object.keys(platform).length === 0) {
      stdout.write(`cannot complete ${name}@${version}, wanted by ${from}\n`)
      exit(1)
    }
    missing.push([
      `node_modules/${name}`,
      { version, ...platform, ...(dev === true ? { dev } : {}), optional: true },
    ])
  }

for (const [place] of missing) stdout.write(`missing: ${place}\n`)
if (missing.length > 0 && argv.includes('--check')) exit(1)
if (missing.length > 0) {
  const entries = Object.entries({ ...lock.packages, ...Object.fromEntries(missing) })
  const order = ([a], [b]) => (a < b ? -1 : 1)
  const locked = Object.fromEntries([
    ...entries.filter(([place]) => place === ''),
    ...entries.filter(([place]) => place !== '').sort(order),
  ])
  writeFileSync(path, `${JSON.stringify({ ...lock, packages: locked }, null, 2)}\n`)
}
