/**
 * Whatever is killed, and whenever: the run ends, and its models have the bits of an undisturbed run.
 * Each round has a stack of its own in a fresh state directory, and no cache.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { RunView } from '@limbeck/contracts'
import { down, repositoryRoot } from '@limbeck/platform'
import { afterEach, describe, expect, it } from 'vitest'
import { registerAssets } from '../../apps/cli/src/assets.ts'
import { type BroughtUp, bringUp } from '../../apps/cli/src/bring-up.ts'
import { ApiClient, ApiError } from '../../apps/cli/src/client.ts'
import { hasEnded } from '../../apps/cli/src/follow.ts'
import { type Blow, schedule } from './schedule.ts'
import { kill } from './victims.ts'

const ROUND_LIMIT_MS = 900_000
const MODELS = ['decoder', 'pretrain', 'distill', 'few_step']

/** Long enough that a kill lands inside a stage, short enough for a test. */
const overrides = {
  'render.samples': 400,
  'decoder.training.steps': 40,
  'decoder.training.checkpoint_every': 10,
  'pretrain.training.steps': 30,
  'pretrain.training.checkpoint_every': 10,
  'distill.training.steps': 160,
  'distill.training.checkpoint_every': 20,
  'distill.teacher_gate': 'warn',
  'few_step.training.steps': 120,
  'few_step.training.checkpoint_every': 20,
}

const folders: string[] = []
async function freshStack(): Promise<BroughtUp> {
  const folder = mkdtempSync(join(tmpdir(), 'limbeck-chaos-'))
  folders.push(folder)
  process.env.LIMBECK_STATE_DIR = folder
  return bringUp({ workers: 1, report: () => {} })
}

afterEach(async () => {
  await down({ erase: true })
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
}, 120_000)

async function submit(stack: BroughtUp): Promise<{ client: ApiClient; run: RunView }> {
  const client = new ApiClient(stack.apiUrl, stack.tokens.submitter)
  await registerAssets(client, join(repositoryRoot, 'snapshots'), () => {})
  return {
    client,
    run: await client.post('/v1/runs', RunView, { recipe: 'tiny-shapes-quick', overrides, cache: 'off' }),
  }
}

/** Looks once a quarter second; the API being away is part of the test. */
async function until(client: ApiClient, run: string, reached: (view: RunView) => boolean): Promise<RunView> {
  for (const deadline = Date.now() + ROUND_LIMIT_MS; Date.now() < deadline; await sleep(250)) {
    try {
      const view = await client.get(`/v1/runs/${run}`, RunView, { timeoutMs: 5_000 })
      if (reached(view) || hasEnded(view)) return view
    } catch (error) {
      if (!(error instanceof ApiError) && (error as Error).name !== 'TimeoutError') throw error
    }
  }
  throw new Error(`run ${run} did not get there within ${ROUND_LIMIT_MS / 1000} s`)
}

const digests = (run: RunView): Record<string, string | null> =>
  Object.fromEntries(
    MODELS.map((name) => [name, run.stages.find((stage) => stage.name === name)?.output ?? null]),
  )

const passed = (run: RunView, { stage, share }: Blow): boolean => {
  const view = run.stages.find((candidate) => candidate.name === stage)
  return (
    view?.state === 'running' && view.progress !== null && view.progress.step >= share * view.progress.total
  )
}

async function round(blows: Blow[]): Promise<{ run: RunView; killed: number }> {
  const stack = await freshStack()
  const { client, run } = await submit(stack)
  let killed = 0
  for (const blow of blows) {
    await until(client, run.id, (view) => passed(view, blow))
    if ((await kill(blow.victim)) !== null) killed++
    // A user whose supervisor died starts it again; the rest has to heal by itself.
    if (blow.victim === 'supervisor') await bringUp({ workers: 1, report: () => {} })
  }
  return { run: await until(client, run.id, hasEnded), killed }
}

describe('kill -9', () => {
  const seed = Number(process.env.LIMBECK_CHAOS_SEED ?? Date.now() % 1_000_000)
  let undisturbed: Record<string, string | null> = {}

  it('nothing: the run succeeds, and its models are what the others are compared with', {
    timeout: ROUND_LIMIT_MS,
  }, async () => {
    const { run } = await round([])
    expect(run.state).toBe('succeeded')
    undisturbed = digests(run)
    expect(Object.values(undisturbed)).not.toContain(null)
  })

  it.each([1, 2])(
    'round %i: each process once, in both distillation stages',
    { timeout: ROUND_LIMIT_MS },
    async (number) => {
      const blows = schedule(seed + number)
      console.log(
        `chaos seed ${seed} (LIMBECK_CHAOS_SEED), round ${number}: ${blows.map(({ victim, stage, share }) => `${victim} at ${(100 * share).toFixed(0)} % of ${stage}`).join(', ')}`,
      )
      const { run, killed } = await round(blows)
      expect(
        run.stages
          .map(({ name, state, message }) => ({ name, state, message }))
          .filter(({ state }) => state !== 'succeeded'),
      ).toEqual([])
      expect(killed).toBe(blows.length)
      expect(digests(run)).toEqual(undisturbed)
    },
  )
})
