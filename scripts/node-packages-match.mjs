/**
 * Status 0 where node_modules holds the packages of package-lock.json, as npm itself recorded it there. Plain
 * JavaScript, no imports from packages: it runs before there are any.
 */
import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { exit } from 'node:process'

const root = resolve(import.meta.dirname, '..')
const read = (path) => JSON.parse(readFileSync(resolve(root, path), 'utf8')).packages

try {
  const wanted = read('package-lock.json')
  const installed = read('node_modules/.package-lock.json')
  const different = Object.entries(wanted).filter(([path, { version, integrity, optional, link }]) => {
    if (!path.startsWith('node_modules/') || path.startsWith('node_modules/@limbeck/') || link) return false
    const found = installed[path]
    // An optional package of another platform is not installed.
    if (found === undefined) return !optional
    return found.version !== version || found.integrity !== integrity || !existsSync(resolve(root, path))
  })
  exit(different.length === 0 ? 0 : 1)
} catch {
  exit(1)
}
