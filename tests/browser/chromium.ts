import { existsSync } from 'node:fs'
import { getuid } from 'node:process'
import chromium from '@sparticuz/chromium'
import { type Browser, chromium as playwright } from 'playwright-core'

/** Chromiums that distributions install; LIMBECK_CHROMIUM names another. */
const SYSTEM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** A real Chromium without a window: the one named, the system's, or the one that the package ships. */
export async function openBrowser(): Promise<Browser> {
  const installed = [process.env.LIMBECK_CHROMIUM, ...SYSTEM].find(
    (path) => path !== undefined && path !== '' && existsSync(path),
  )
  return playwright.launch({
    executablePath: installed ?? (await chromium.executablePath()),
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
