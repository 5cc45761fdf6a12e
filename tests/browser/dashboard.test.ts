/** The dashboard in a real Chromium against the real API: what a person sees, and what happens live. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryRoot } from '@limbeck/platform'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Plane, startPlane } from '../control-plane/support/plane.ts'
import { cancelEverything, ended, runUntil, submit } from '../control-plane/support/runs.ts'
import { TestWorker } from '../control-plane/support/worker.ts'
import { violations } from './accessibility.ts'
import { openBrowser } from './chromium.ts'

const LIMIT = 20_000
const shots = join(repositoryRoot, '.limbeck/test-screenshots')

let plane: Plane
let browser: Browser
beforeAll(async () => {
  plane = await startPlane()
  browser = await openBrowser()
  mkdirSync(shots, { recursive: true })
}, 120_000)
afterAll(() => browser?.close())
beforeEach(() => cancelEverything(plane.as('submitter')))

/** A page signed in by a one-time code, as the printed address does it; errors of the page fail the test. */
async function signedIn(path: string): Promise<{ page: Page; errors: string[] }> {
  const { code } = await plane.as('admin').must('POST', '/v1/session-codes', {})
  const context = await browser.newContext({ viewport: { width: 1440, height: 1000 } })
  const page = await context.newPage()
  const errors: string[] = []
  page.on('pageerror', (error) => errors.push(error.message))
  await page.goto(`${plane.api.url}${path}#code=${code}`, { timeout: LIMIT })
  return { page, errors }
}

it('shows a run as it happens: stages, progress, curves, log', { timeout: 90_000 }, async () => {
  const user = plane.as('submitter')
  const created = await submit(user, { label: 'live' })
  const { page, errors } = await signedIn('/')
  await page.getByRole('link', { name: /live/ }).click({ timeout: LIMIT })
  await page.getByText('queued').first().waitFor({ timeout: LIMIT })
  expect(page.url()).toBe(`${plane.api.url}/runs/${created.id}`)

  const worker = await TestWorker.register(plane.as('worker'), 'browser-worker')
  const lease = await worker.mustClaim()
  const steps = Array.from({ length: 50 }, (_, index) => index + 1)
  await worker.call(lease, 'metrics', {
    sequence: 0,
    scalars: [{ name: 'loss/task', steps, values: steps.map((step) => (step === 30 ? 'NaN' : 1 / step)) }],
    arrays: [10, 20].map((step) => ({
      name: 'validation/task_by_t',
      step,
      values: [0.5, 0.25, null, 0.125],
    })),
  })
  await worker.call(lease, 'logs', {
    sequence: 0,
    lines: [{ time: new Date().toISOString(), stream: 'stdout', text: 'the loss falls' }],
  })
  await worker.heartbeat(lease, 0, { step: 5, total: 10, images_per_second: 12, loss: 0.25 })
  await page.getByText('step 5 of 10').waitFor({ timeout: LIMIT })
  await page.getByRole('tab', { name: 'Curves' }).click()
  await page.getByRole('figure', { name: /loss/ }).first().waitFor({ timeout: LIMIT })
  await page.getByText('50 of 50 points').waitFor({ timeout: LIMIT })
  await page.getByRole('tab', { name: 'Loss scale' }).click()
  await page.getByRole('figure', { name: /task loss \(held out\)/ }).waitFor({ timeout: LIMIT })
  await page
    .getByRole('region', { name: 'Guards' })
    .getByText(/loss\/task not finite/)
    .waitFor({ timeout: LIMIT })
  expect(new URL(page.url()).searchParams.get('tab')).toBe('loss-scale')
  await page.getByRole('tab', { name: 'Logs' }).click()
  await page.getByText('the loss falls').waitFor({ timeout: LIMIT })

  await worker.complete(lease, { 'a.txt': 'a' })
  await runUntil(user, created.id, ended)
  await page.getByText('succeeded').first().waitFor({ timeout: LIMIT })
  expect(await page.getByRole('button', { name: 'Cancel' }).isDisabled()).toBe(true)
  await page.screenshot({ path: join(shots, 'run.png'), fullPage: true })
  expect(errors).toEqual([])
})

/** A finished stage with statistics over t as a distillation logs them, and curves with a resume in between. */
async function distilled(label: string, factor = 1): Promise<string> {
  const user = plane.as('submitter')
  const created = await submit(user, { label })
  const worker = await TestWorker.register(plane.as('worker'), `worker of ${label}`)
  const lease = await worker.mustClaim()
  const [bins, rows] = [20, 30]
  const by = (value: (t: number, share: number) => number | string) =>
    Array.from({ length: rows }, (_, row) =>
      Array.from({ length: bins }, (_, bin) => value((bin + 0.5) / bins, row / rows)),
    )
  const statistics: Record<string, (number | string)[][]> = {
    'validation/task_by_t': by((t, share) => factor * (0.4 + (t - 0.5) ** 2) * (2 - share)),
    'validation/teacher_task_by_t': by((t) => 0.3 + (t - 0.5) ** 2),
    'validation/output_kd_by_t': by((t, share) => factor * (0.02 + Math.abs(t - 0.5) ** 3) * (1.5 - share)),
    'validation/feature_kd_by_t': by((t, share) => 0.5 * (0.1 + t) * (1.2 - share)),
    'validation/teacher_worse_by_t': by((t, share) => (t > 0.95 && share > 0.5 ? 1 : 0)),
    'scaling/weight_task_by_t': by((t) => 1 - 2 * Math.abs(t - 0.5)),
    'scaling/weight_output_by_t': by((t) => 2 * Math.abs(t - 0.5)),
    'scaling/weight_feature_by_t': by((t) => Math.abs(t - 0.5)),
    'discriminator/histogram_real_tap3': by((t) => 0.04 + 0.02 * t),
    'discriminator/histogram_fake_tap3': by((t) => 0.06 - 0.02 * t),
  }
  const steps = Array.from({ length: 600 }, (_, index) => index + 1)
  await worker.call(lease, 'metrics', {
    sequence: 0,
    scalars: ['task', 'output_kd', 'feature_kd'].map((name, index) => ({
      name: `loss/${name}`,
      steps,
      values: steps.map((step) => (name === 'task' && step === 400 ? 'NaN' : (index + 1) / (10 + step))),
    })),
    arrays: Object.entries(statistics).flatMap(([name, all]) =>
      all.map((values, row) => ({ name, step: 20 * (row + 1), values })),
    ),
  })
  await worker.complete(lease, { 'a.txt': 'a' })
  await runUntil(user, created.id, ended)
  return created.id
}

it('links the heat map, the curves, the profile and the guards of the loss scale', {
  timeout: 120_000,
}, async () => {
  const [mine, other] = [await distilled('scale a'), await distilled('scale b', 2)]
  const { page, errors } = await signedIn(`/runs/${mine}?tab=loss-scale`)
  const map = page.getByRole('figure', { name: /output KD \(held out\)/ })
  await map.waitFor({ timeout: LIMIT })
  await page
    .getByRole('region', { name: 'Guards' })
    .getByText(/teacher worse than the student/)
    .waitFor()
  await page
    .getByRole('region', { name: 'Guards' })
    .getByText(/loss\/task not finite/)
    .waitFor({ timeout: LIMIT })

  // A picked cell, a statistic and a zoom are the address: opened again, the view is the same.
  await map.getByRole('application').or(map.locator('canvas')).first().focus()
  await page.keyboard.press('ArrowRight')
  await page.keyboard.press('Enter')
  await page.waitForURL(/step=\d+/, { timeout: LIMIT })
  await page.getByText('One noise level over the steps').first().waitFor({ timeout: LIMIT })
  await page.getByRole('combobox', { name: 'Statistic' }).click()
  await page.getByRole('option', { name: 'gap to the teacher' }).click()
  await page.waitForURL(/stat=gap/, { timeout: LIMIT })
  await page.reload()
  await page.getByRole('figure', { name: /gap to the teacher/ }).waitFor({ timeout: LIMIT })

  await page.getByRole('combobox', { name: 'Difference with' }).click()
  await page.getByRole('option', { name: /scale b/ }).click()
  await page.waitForURL(new RegExp(`against=${other}`), { timeout: LIMIT })
  await page.getByRole('figure', { name: /this run less the other/ }).waitFor({ timeout: LIMIT })
  expect(errors).toEqual([])
})

it('asks the server again for the steps of a zoom, and keeps them in the address', {
  timeout: 90_000,
}, async () => {
  const run = await distilled('zoom')
  const { page } = await signedIn(`/runs/${run}?tab=curves`)
  await page.getByText('1,800 of 1,800 points').waitFor({ timeout: LIMIT })
  const asked = page.waitForRequest((request) => request.url().includes('from_step=100'), { timeout: LIMIT })
  await page.goto(`${plane.api.url}/runs/${run}?tab=curves&steps=%22100-199%22`)
  await asked
  await page.getByText('300 of 300 points').waitFor({ timeout: LIMIT })
  await page.getByRole('button', { name: 'All steps' }).click()
  await page.getByText('1,800 of 1,800 points').waitFor({ timeout: LIMIT })
  expect(new URL(page.url()).searchParams.get('steps')).toBe(null)
})

const PAGES = [
  ['runs', '/'],
  ['run', '/runs/RUN'],
  ['loss-scale', '/runs/RUN?tab=loss-scale'],
  ['curves', '/runs/RUN?tab=curves'],
  ['ladd', '/runs/RUN?tab=ladd'],
  ['samples', '/runs/RUN?tab=samples'],
  ['logs', '/runs/RUN?tab=logs'],
  ['evaluations', '/evaluations'],
  ['voting', '/voting'],
  ['releases', '/releases'],
  ['workers', '/workers'],
] as const

describe.each(['light', 'dark'] as const)('in the %s theme', (colorScheme) => {
  it.each([1440, 390])(
    'every page is accessible and stays inside %i pixels',
    { timeout: 240_000 },
    async (width) => {
      const run = await distilled(`pages ${colorScheme} ${width}`)
      const { code } = await plane.as('admin').must('POST', '/v1/session-codes', {})
      const context = await browser.newContext({ viewport: { width, height: 1000 }, colorScheme })
      const page = await context.newPage()
      const errors: string[] = []
      page.on('pageerror', (error) => errors.push(error.message))
      page.on('console', (message) => {
        if (message.type() === 'error') errors.push(message.text())
      })
      await Promise.all([
        page.waitForResponse(/\/v1\/sessions/, { timeout: LIMIT }),
        page.goto(`${plane.api.url}/#code=${code}`, { timeout: LIMIT }),
      ])
      const found: string[] = []
      for (const [name, path] of PAGES) {
        await page.goto(`${plane.api.url}${path.replace('RUN', run)}`, { timeout: LIMIT })
        await page.getByRole('heading', { level: 1 }).waitFor({ timeout: LIMIT })
        // The event stream never ends, so the network is never idle.
        await page.waitForTimeout(1000)
        await page.getByText('Loading…').first().waitFor({ state: 'hidden', timeout: LIMIT })
        await page.screenshot({ path: join(shots, `${name}-${width}-${colorScheme}.png`), fullPage: true })
        found.push(...(await violations(page)).map((one) => `${name}: ${one}`))
        const wide = await page.evaluate<number>('document.documentElement.scrollWidth')
        if (wide > width) found.push(`${name} is ${wide} pixels wide`)
      }
      expect(found).toEqual([])
      expect(errors).toEqual([])
      await context.close()
    },
  )
})

it('cancels a run from its page', { timeout: 60_000 }, async () => {
  const created = await submit(plane.as('submitter'), { label: 'unwanted' })
  const { page } = await signedIn(`/runs/${created.id}`)
  await page.getByRole('button', { name: 'Cancel' }).click({ timeout: LIMIT })
  await page.getByText('cancelled').first().waitFor({ timeout: LIMIT })
  expect((await plane.as('viewer').must('GET', `/v1/runs/${created.id}`)).state).toBe('cancelled')
})

it('says that it is not signed in, and names a run that does not exist', { timeout: 60_000 }, async () => {
  const context = await browser.newContext({ viewport: { width: 390, height: 800 } })
  const page = await context.newPage()
  await page.goto(plane.api.url, { timeout: LIMIT })
  await page.getByText('You are not signed in').waitFor({ timeout: LIMIT })

  const { page: other } = await signedIn('/runs/run_00000000000000000000000000')
  await other.getByText('This could not be read').waitFor({ timeout: LIMIT })
})
