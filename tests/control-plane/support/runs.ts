import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from './client.ts'

/** A stage that needs nothing but a CPU worker. */
export const render = (name: string, seed = 1, changes: object = {}) => ({
  name,
  spec: { kind: 'render_dataset', source: 'shapes', samples: 10, samples_per_shard: 10, seed },
  ...changes,
})

export const trivialRecipe = (...stages: object[]) => ({
  name: 'trivial',
  version: 1,
  summary: 'for tests',
  stages: stages.length > 0 ? stages : [render('render')],
})

let salt = 0
/** A submission that no cache answers unless it is told to. */
export const submission = (changes: object = {}) => ({
  recipe: trivialRecipe(),
  cache_salt: `salt ${process.pid} ${salt++}`,
  ...changes,
})

export const submit = (client: Client, changes: object = {}) =>
  client.must('POST', '/v1/runs', submission(changes))

/** Asks until the run is as wanted; the test's own limit ends it. */
export async function runUntil(
  client: Client,
  run: string,
  // biome-ignore lint/suspicious/noExplicitAny: a run as it came over the wire
  reached: (view: any) => boolean,
  seconds = 20,
): // biome-ignore lint/suspicious/noExplicitAny: a run as it came over the wire
Promise<any> {
  const deadline = Date.now() + seconds * 1000
  for (;;) {
    const view = await client.must('GET', `/v1/runs/${run}`)
    if (reached(view)) return view
    if (Date.now() > deadline) throw new Error(`run ${run} stays ${JSON.stringify(view, null, 1)}`)
    await sleep(30)
  }
}

export const ended = (view: { state: string }): boolean =>
  ['succeeded', 'failed', 'cancelled'].includes(view.state)

/** What a test leaves in the queue is not the next one's to claim. */
export async function cancelEverything(client: Client): Promise<void> {
  const { runs } = await client.must('GET', '/v1/runs?limit=200')
  if (runs.length > 0)
    await client.must('POST', '/v1/runs/cancel', { runs: runs.map(({ id }: { id: string }) => id) })
}
