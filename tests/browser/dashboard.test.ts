/** The dashboard in a real Chromium against the real API: what a person sees, and what happens live. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryRoot } from '@limbeck/platform'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Plane, startPlane } from '../control-plane/support/plane.ts'
import { ended, runUntil, submit } from '../control-plane/support/runs.ts'
import { TestWorker } from '../control-plane/support/worker.ts'
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
  await page.getByRole('figure', { name: /loss\/task, 50 points/ }).waitFor({ timeout: LIMIT })
  await page.getByText('1 not finite').waitFor({ timeout: LIMIT })
  await page.getByRole('img', { name: /validation\/task_by_t by t and step/ }).waitFor({ timeout: LIMIT })
  await page.getByText('the loss falls').waitFor({ timeout: LIMIT })

  await worker.complete(lease, { 'a.txt': 'a' })
  await runUntil(user, created.id, ended)
  await page.getByText('succeeded').first().waitFor({ timeout: LIMIT })
  expect(await page.getByRole('button', { name: 'Cancel' }).isDisabled()).toBe(true)
  await page.screenshot({ path: join(shots, 'run.png'), fullPage: true })
  expect(errors).toEqual([])
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
