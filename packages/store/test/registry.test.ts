import { type EvaluationResult, type Gate, ReleaseManifest } from '@limbeck/contracts'
import { digestOf, evaluateGates } from '@limbeck/core'
import { expect, it } from 'vitest'
import {
  claimStage,
  completeStage,
  getRelease,
  getRun,
  listEvaluations,
  listGatesStages,
  listModels,
  listPromotions,
  promote,
  settleGates,
  settleVerifications,
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

const evaluation: EvaluationResult = {
  role: 'few_step',
  protocol: {
    ...{
      benchmark: 'shapes-geneval',
      prompts_per_tag: 10,
      held_out_per_tag: 0,
      images_per_prompt: 1,
      seed: 0,
    },
    ...{ sampler: 'flow-euler', steps: 4, grid: null, shift: 1, guidance_scale: 1, dtype: 'float32' },
    scorer: 'shapes-detector-v1',
  },
  protocol_hash: sha('protocol'),
  parameters: 100,
  overall: 0.6,
  interval: [0.5, 0.7],
  per_tag: {},
  held_out: null,
  verdicts: [true, false],
  images_per_second: 1,
  extra: [],
}

/** A run of three stages and its gates, up to where the orchestrator judges. */
async function judged(project: string, psnr_db: number) {
  const graph = { model: [], decoder: [], package: ['model'], gates: ['model', 'decoder', 'package'] }
  const plan = planOf(graph)
  const gate: Gate = {
    name: 'package-psnr',
    metric: { source: 'metric', stage: 'package', name: 'psnr_db' },
    ...{ baseline: null, comparator: '>=', threshold: 55, rationale: '' },
  }
  plan.recipe.gates = [gate]
  plan.recipe.licences = ['own']
  plan.recipe.release = { model: 'model', decoder: 'decoder', package: 'package' }
  Object.assign(plan.stages[3]!, { kind: 'gates', spec: { kind: 'gates' }, resource_class: 'control' })
  const run = await submit(store, project, plan)
  const worker = await addWorker(store, project)
  for (let count = 0; count < 3; count++) {
    const lease = unwrap(await claimStage(store, { project, worker, claim: claimId() }))!
    const output = sha(`${run.id} ${lease.name}`)
    await storeTree(store, output)
    const metrics = lease.name === 'package' ? { psnr_db } : {}
    const evaluations = lease.name === 'model' ? [evaluation] : []
    const fence = { worker, stage: lease.stage, epoch: lease.epoch }
    unwrap(await completeStage(store, fence, { output, result: { ...result(metrics), evaluations } }))
    await settleVerifications(store)
  }
  expect(unwrap(await claimStage(store, { project, worker, claim: claimId() }))).toBeNull()
  const stage = (await listGatesStages(store, 10)).find((found) => found.run === run.id)!
  const gates = evaluateGates(stage.recipe, stage.results)
  const settled = await Promise.all([
    settleGates(store, stage.stage, gates),
    settleGates(store, stage.stage, gates),
  ])
  const [one, two] = settled.map((answer) => unwrap(answer).model_version)
  expect(one).toBe(two)
  return { run: run.id, model: one! }
}

it('promotes what passed its gates, with a manifest of everything behind it', async () => {
  const project = await testProject(store)
  const first = await judged(project, 60)
  const second = await judged(project, 61)
  expect(unwrap(await getRun(store, project, first.run)).state).toBe('succeeded')
  const request = { alias: 'mobile-canary' as const, reason: 'better' }
  const one = unwrap(await promote(store, project, { ...request, model_version: first.model }, 'ci'))
  expect(unwrap(await promote(store, project, { ...request, model_version: first.model }, 'ci')).id).toBe(
    one.id,
  )
  const two = unwrap(await promote(store, project, { ...request, model_version: second.model }, 'ci'))
  expect(two.previous).toBe(first.model)
  expect((await listPromotions(store, project, { limit: 10 })).map(({ id }) => id)).toEqual([two.id, one.id])
  const { manifest } = unwrap(await getRelease(store, project, 'mobile-canary'))
  expect(ReleaseManifest.parse(manifest)).toMatchObject({
    ...{ version: 2, promoted_by: 'ci', model: sha(`${second.run} model`), licences: ['own'] },
    gates: [{ name: 'package-psnr', passed: true }],
    evaluations: [{ role: 'few_step', overall: 0.6 }],
  })
  expect(manifest.lineage.map(({ stage }) => stage)).toEqual(['model', 'decoder', 'package'])
  expect(digestOf(manifest)).toBe(two.manifest)
  const models = await listModels(store, project, { limit: 10 })
  expect(models.map(({ version, aliases }) => [version, aliases])).toEqual([
    [2, ['mobile-canary']],
    [1, []],
  ])
  expect(await listEvaluations(store, project, { run: first.run, limit: 10 })).toMatchObject([
    { stage_name: 'model', role: 'few_step', verdicts: [true, false] },
  ])
})

it('refuses a model version whose gate failed, names it, and does not move the alias', async () => {
  const project = await testProject(store)
  const { model, run } = await judged(project, 40)
  const answer = await promote(
    store,
    project,
    { alias: 'mobile-canary', model_version: model, reason: '' },
    'ci',
  )
  expect(answer).toMatchObject({
    error: {
      code: 'gates_failed',
      gates: [{ name: 'package-psnr', measured: 40, required: '>= 55', passed: false }],
    },
  })
  expect((await getRelease(store, project, 'mobile-canary')).ok).toBe(false)
  expect(unwrap(await getRun(store, project, run)).state).toBe('succeeded')
})
