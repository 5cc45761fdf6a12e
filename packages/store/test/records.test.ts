import type { EvaluationResult, MeasurementBody } from '@limbeck/contracts'
import { expect, it } from 'vitest'
import {
  claimStage,
  completeStage,
  listEvaluations,
  listMeasurements,
  measurementSignature,
  nextPair,
  preferences,
  recordMeasurement,
  settleVerifications,
  vote,
} from '../src/index.ts'
import {
  addWorker,
  claimId,
  planOf,
  result,
  sha,
  storeTree,
  submit,
  testProject,
  testStore,
  unwrap,
} from './support/stores.ts'

const store = await testStore()

const evaluation = (steps: number, seed = 0): EvaluationResult => ({
  role: `steps ${steps}`,
  protocol: {
    benchmark: 'shapes-geneval',
    prompts_per_tag: 10,
    held_out_per_tag: 0,
    images_per_prompt: 1,
    seed,
    sampler: 'flow-euler',
    steps,
    grid: null,
    shift: 1,
    guidance_scale: 1,
    dtype: 'float32',
    scorer: 'shapes-detector-v1',
  },
  protocol_hash: sha(`protocol ${steps} ${seed}`),
  parameters: 100,
  overall: 0.6,
  interval: [0.5, 0.7],
  per_tag: {},
  held_out: null,
  verdicts: [true, false, true],
  images_per_second: 1,
  extra: [],
})

/** Ids of stored evaluations by their steps. */
async function evaluated(project: string, ...evaluations: EvaluationResult[]): Promise<string[]> {
  await submit(store, project, planOf({ judge: [] }))
  const worker = await addWorker(store, project)
  const lease = unwrap(await claimStage(store, { project, worker, claim: claimId() }))
  if (lease === null) throw new Error('a lease was expected')
  const output = sha(`pictures of ${project}`)
  await storeTree(store, output)
  const fence = { worker, stage: lease.stage, epoch: lease.epoch }
  unwrap(await completeStage(store, fence, { output, result: { ...result(), evaluations } }))
  await settleVerifications(store)
  return (await listEvaluations(store, project, { limit: 10 }))
    .sort((a, b) => a.protocol.steps - b.protocol.steps)
    .map(({ id }) => id)
}

const body: MeasurementBody = {
  program_sha256: sha('program'),
  package: 'unet',
  device: 'iPhone 16 Pro Max',
  os: 'iOS 18.2',
  compute_units: 'cpuAndNeuralEngine',
  warm_up: 5,
  runs: 100,
  median_ms: 274.5,
  p10_ms: 270,
  p90_ms: 281,
  peak_memory_bytes: null,
  measured_at: '2026-11-27T08:00:00.000Z',
}

it('keeps a measurement that its device signed, once, and refuses any other', async () => {
  const project = await testProject(store)
  const device = { project, token_name: 'phone 1', token: 'lmbk_phone' }
  const signed = { ...body, signature: measurementSignature(device.token, body) }
  const first = unwrap(await recordMeasurement(store, device, signed))
  expect(first).toMatchObject({ kind: 'measured', token: 'phone 1', median_ms: 274.5 })
  expect(unwrap(await recordMeasurement(store, device, signed)).id).toBe(first.id)

  for (const forged of [
    { ...signed, median_ms: 100 },
    { ...signed, signature: measurementSignature('lmbk_other', body) },
  ])
    expect(await recordMeasurement(store, device, forged)).toMatchObject({
      error: { code: 'bad_signature' },
    })

  expect(await listMeasurements(store, project, { limit: 10 })).toEqual([first])
  expect(await listMeasurements(store, project, { program_sha256: sha('other'), limit: 10 })).toEqual([])
  await expect(store.pool.query('DELETE FROM measurement')).rejects.toThrow(/append-only/)
})

it('shows every picture once to a voter, on sides of their own, and counts what was chosen', async () => {
  const project = await testProject(store)
  const [better, worse] = (await evaluated(project, evaluation(4), evaluation(8))) as [string, string]
  const both = [better, worse]
  const lefts = new Set<string>()
  for (const voter of ['ann', 'bob', 'eve']) {
    for (let votes = 0; votes < 3; votes++) {
      const { pair, voted, pairs } = unwrap(await nextPair(store, project, voter, both))
      expect({ voted, pairs }).toEqual({ voted: votes, pairs: 3 })
      if (pair === null) throw new Error('a pair was expected')
      expect(pair.evaluations).toEqual([...both].sort())
      expect(pair.left.tile).toBe(pair.place)
      lefts.add(pair.left.path)
      // Whoever votes for the pictures of 4 steps, wherever they stand.
      const choice = pair.left.path === 'steps-4/sheet.png' ? 'left' : 'right'
      const given = { evaluations: pair.evaluations, place: pair.place, choice } as const
      unwrap(await vote(store, project, voter, given))
      expect(await vote(store, project, voter, { ...given, choice: 'tie' })).toMatchObject({
        error: { code: 'conflict' },
      })
    }
    expect(unwrap(await nextPair(store, project, voter, both))).toMatchObject({ pair: null, voted: 3 })
  }
  expect(lefts).toEqual(new Set(['steps-4/sheet.png', 'steps-8/sheet.png']))

  const found = unwrap(await preferences(store, project, both))
  expect(found).toMatchObject({ votes: 9, voters: 3, connected: true })
  const of = (id: string) => found.models.find((model) => model.evaluation === id)
  expect(of(better)).toMatchObject({ role: 'steps 4', wins: 9, losses: 0, ties: 0 })
  expect(of(worse)).toMatchObject({ wins: 0, losses: 9 })
  expect(of(better)?.strength).toBeCloseTo(Math.log(9.5 / 0.5) / 2, 6)
})

it('offers the picture with the fewest votes first', async () => {
  const project = await testProject(store)
  const both = await evaluated(project, evaluation(4), evaluation(8))
  const seen = new Set<number>()
  for (const voter of ['ann', 'bob', 'eve']) {
    const { pair } = unwrap(await nextPair(store, project, voter, both))
    if (pair === null) throw new Error('a pair was expected')
    seen.add(pair.place)
    unwrap(
      await vote(store, project, voter, { evaluations: pair.evaluations, place: pair.place, choice: 'tie' }),
    )
  }
  expect(seen.size).toBe(3)
  const { models } = unwrap(await preferences(store, project, both))
  expect(models.map(({ ties, strength }) => [ties, strength])).toEqual([
    [3, 0],
    [3, 0],
  ])
})

it('refuses evaluations that are unknown or were asked other prompts, and places that are none', async () => {
  const project = await testProject(store)
  const [first, other] = (await evaluated(project, evaluation(4), evaluation(8, 1))) as [string, string]
  expect(await nextPair(store, project, 'ann', [first, other])).toMatchObject({
    error: { code: 'conflict', detail: expect.stringContaining('2 different sets of prompts') },
  })
  expect(await nextPair(store, project, 'ann', [first, 'evl_00000000000000000000000000'])).toMatchObject({
    error: { code: 'not_found' },
  })
  const elsewhere = await testProject(store)
  expect(await preferences(store, elsewhere, [first, other])).toMatchObject({ error: { code: 'not_found' } })
  const pair = (await evaluated(elsewhere, evaluation(4), evaluation(8))) as never
  expect(await vote(store, elsewhere, 'ann', { evaluations: pair, place: 3, choice: 'left' })).toMatchObject({
    error: { code: 'conflict', detail: 'place is 3; the evaluations have 3 pictures, from 0' },
  })
})
