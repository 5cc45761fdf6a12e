import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { env, getuid } from 'node:process'
import { repositoryRoot } from '@limbeck/platform'
import chromium from '@sparticuz/chromium'
import { type Browser, chromium as playwright } from 'playwright-core'

/** Chromiums that distributions install; LIMBECK_CHROMIUM names another. */
const SYSTEM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/**
 * The package unpacks its Chromium into the temporary folder, under one name for all users of the machine, and
 * another user's is not executable: this checkout gets its own.
 */
async function shipped(): Promise<string> {
  const folder = join(repositoryRoot, '.limbeck', 'chromium')
  mkdirSync(folder, { recursive: true })
  const before = env.TMPDIR
  env.TMPDIR = folder
  try {
    return await chromium.executablePath()
  } finally {
    if (before === undefined) delete env.TMPDIR
    else env.TMPDIR = before
  }
}

/** A real Chromium without a window: the one named, the system's, or the one that the package ships. */
export async function openBrowser(): Promise<Browser> {
  const installed = [process.env.LIMBECK_CHROMIUM, ...SYSTEM].find(
    (path) => path !== undefined && path !== '' && existsSync(path),
  )
  return playwright.launch({
    executablePath: installed ?? (await shipped()),
    args: [
      // In a single process all contexts would share their cookies: nobody could be signed out.
      ...(installed === undefined ? chromium.args.filter((arg) => arg !== '--single-process') : []),
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
      // Chromium refuses to run as root inside its own sandbox.
      ...(getuid?.() === 0 ? ['--no-sandbox'] : []),
    ],
    headless: true,
    timeout: 60_000,
  })
}
