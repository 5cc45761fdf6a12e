import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stdout } from 'node:process'
import { ModelVersionList, PromotionView, Recipe, RunView } from '@limbeck/contracts'
import { down, repositoryRoot, writeFileAtomic } from '@limbeck/platform'
import type { Command } from 'commander'
import { registerAssets } from '../assets.ts'
import { type BroughtUp, bringUp, dashboardAddress } from '../bring-up.ts'
import { ApiClient, ApiError } from '../client.ts'
import { corePackages, sampleGrid } from '../demo/results.ts'
import { currentRun, rememberRun } from '../demo/state.ts'
import { type DemoSummary, summarise, summaryText } from '../demo/summary.ts'
import { follow } from '../follow.ts'
import { outputFile } from '../output-file.ts'

interface DemoOptions {
  quick?: boolean
  keep?: boolean
  json?: string
  workers: string
}

/** Only the run decides how the demo ends: anything else than a promoted model is status 1. */
export function registerDemo(program: Command): void {
  program
    .command('demo')
    .description('distil, export and promote a small student on this machine, from set-up to release')
    .option('--quick', 'the same path in under four minutes, without the controls and the comparison')
    .option('--keep', 'leave the stack running, with the dashboard')
    .option('--json <file>', 'write the summary as JSON too')
    .option('--workers <count>', 'CPU workers of one thread each', '2')
    .action(async (options: DemoOptions) => {
      process.once('SIGINT', () => {
        line(
          '\nLeft the demo; its run goes on. ./limbeck demo watches it again, ./limbeck down stops everything.',
        )
        process.exit(130)
      })
      const json = options.json === undefined ? null : outputFile('--json', options.json)
      const stack = await bringUp({ workers: Number(options.workers), report: line })
      try {
        const summary = await demo(stack, options)
        if (json !== null) writeFileSync(json, `${JSON.stringify(summary, null, 2)}\n`)
        if (summary.release === null) process.exitCode = 1
      } finally {
        if (options.keep === true) line('The stack is still up: ./limbeck status, ./limbeck down')
        else await down()
      }
    })
}

const line = (text: string): void => {
  stdout.write(`${text}\n`)
}

async function demo(stack: BroughtUp, options: DemoOptions): Promise<DemoSummary> {
  const recipe = options.quick === true ? 'tiny-shapes-quick' : 'tiny-shapes'
  const submitter = new ApiClient(stack.apiUrl, stack.tokens.submitter)
  await registerAssets(submitter, join(repositoryRoot, 'snapshots'), line)

  line((await submitter.get(`/v1/recipes/${recipe}`, Recipe)).summary)
  const run = await resumeOrSubmit(submitter, stack, recipe)
  line(`Dashboard: ${await dashboardAddress(stack, run.id)}`)
  const ended = await follow(submitter, run.id, stdout)

  const folder = join(stack.config.state_dir, 'demo', ended.id)
  const model = (await submitter.get(`/v1/models?run=${ended.id}`, ModelVersionList)).models[0] ?? null
  const packages = await corePackages(submitter, ended, folder)
  const gridPath = await sampleGrid(submitter, ended, folder)
  const promotion = model === null ? null : await promote(stack, model.id)
  const summary = summarise({
    run: ended,
    model,
    promotion,
    packagePath: packages?.path ?? null,
    packageBytes: packages?.bytes ?? 0,
    gridPath,
    dashboard: await dashboardAddress(stack, ended.id),
  })
  line(`\n${summaryText(summary, options.quick !== true)}`)
  return summary
}

/** A demo that was interrupted goes on with its run; one that ended starts a new one. */
async function resumeOrSubmit(client: ApiClient, stack: BroughtUp, recipe: string): Promise<RunView> {
  const known = currentRun(stack.config.state_dir, recipe)
  if (known !== null) {
    try {
      const run = await client.get(`/v1/runs/${known}`, RunView)
      if (run.state === 'queued' || run.state === 'running') {
        line(`Going on with run ${run.id}.`)
        return run
      }
    } catch (error) {
      // The state was moved away or belongs to another stack: a new run it is.
      if (!(error instanceof ApiError) || error.code !== 'not_found') throw error
    }
  }
  const run = await client.post('/v1/runs', RunView, { recipe, label: 'demo' })
  rememberRun(stack.config.state_dir, recipe, run.id, writeFileAtomic)
  line(`Submitted run ${run.id} (${recipe}, ${run.stages.length} stages).`)
  return run
}

async function promote(stack: BroughtUp, model: string): Promise<PromotionView | null> {
  const promoter = new ApiClient(stack.apiUrl, stack.tokens.promoter)
  try {
    return await promoter.post('/v1/promotions', PromotionView, {
      model_version: model,
      alias: 'mobile-canary',
      reason: 'demo',
    })
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 'gates_failed') throw error
    line(`\nNot promoted: ${error.message}`)
    return null
  }
}
