import { readFileSync } from 'node:fs'
import { stdout } from 'node:process'
import { LogPage, RunList, RunView } from '@limbeck/contracts'
import type { Command } from 'commander'
import { type ConnectionOptions, connect, withConnection } from '../connection.ts'
import { follow } from '../follow.ts'
import { table } from '../format.ts'
import { overrideOf, repeated } from '../override.ts'
import { UsageError } from '../usage-error.ts'

interface SubmitOptions extends ConnectionOptions {
  set: string[]
  label?: string
  priority?: string
  cache?: string
  key?: string
  watch?: boolean
}

/** A preset's name, or a file that holds a recipe. */
function recipeOf(argument: string): unknown {
  if (!argument.endsWith('.json')) return argument
  try {
    return JSON.parse(readFileSync(argument, 'utf8'))
  } catch (error) {
    throw new UsageError(`${argument}: ${(error as Error).message}`)
  }
}

/** Ends with status 0 only for a run that succeeded. */
const exitBy = (run: RunView): void => {
  if (run.state !== 'succeeded') process.exitCode = 1
}

export function registerRuns(program: Command): void {
  const runs = program.command('runs').description('submit, watch and steer runs')

  withConnection(
    runs.command('submit <recipe>').description("submit a run: a preset's name, or a recipe file (.json)"),
  )
    .option('--set <path=value>', 'override a value of the recipe; may be repeated', repeated, [])
    .option('--label <text>', 'shown beside the recipe')
    .option('--priority <0-100>', 'higher goes first')
    .option('--cache <policy>', 'use, refresh or off')
    .option('--key <key>', 'Idempotency-Key: the same key and request submit once')
    .option('--watch', 'follow the run to its end')
    .action(async (recipe: string, options: SubmitOptions) => {
      const client = connect(options)
      const body = {
        recipe: recipeOf(recipe),
        overrides: Object.fromEntries(options.set.map(overrideOf)),
        ...(options.label === undefined ? {} : { label: options.label }),
        ...(options.priority === undefined ? {} : { priority: Number(options.priority) }),
        ...(options.cache === undefined ? {} : { cache: options.cache }),
      }
      const run = await client.post(
        '/v1/runs',
        RunView,
        body,
        options.key === undefined ? {} : { headers: { 'idempotency-key': options.key } },
      )
      stdout.write(`${run.id}\n`)
      if (options.watch === true) exitBy(await follow(client, run.id, stdout))
    })

  withConnection(runs.command('list').description('the newest runs'))
    .option('--state <state>', 'only runs in this state')
    .option('--limit <count>', 'how many', '20')
    .action(async (options: ConnectionOptions & { state?: string; limit: string }) => {
      const query = new URLSearchParams({
        limit: options.limit,
        ...(options.state === undefined ? {} : { state: options.state }),
      })
      const { runs: found } = await connect(options).get(`/v1/runs?${query}`, RunList)
      const rows = found.map((run) => [
        run.id,
        run.recipe,
        run.label,
        run.state,
        run.created_at,
        run.submitted_by,
      ])
      stdout.write(
        found.length === 0
          ? 'No run.\n'
          : `${table(['run', 'recipe', 'label', 'state', 'submitted', 'by'], rows)}\n`,
      )
    })

  withConnection(runs.command('watch <run>').description('follow a run to its end')).action(
    async (run: string, options: ConnectionOptions) => {
      exitBy(await follow(connect(options), run, stdout))
    },
  )

  withConnection(runs.command('show <run>').description('the run as JSON')).action(
    async (run: string, options: ConnectionOptions) => {
      stdout.write(
        `${JSON.stringify(await connect(options).get(`/v1/runs/${encodeURIComponent(run)}`, RunView), null, 2)}\n`,
      )
    },
  )

  withConnection(
    runs.command('cancel <run>').description('stop a run: workers are told, their processes end'),
  ).action(async (run: string, options: ConnectionOptions) => {
    const { state } = await connect(options).post(`/v1/runs/${encodeURIComponent(run)}/cancel`, RunView, {})
    stdout.write(`${state}\n`)
  })

  withConnection(runs.command('retry <run>').description('reopen what failed, was cancelled or skipped'))
    .option('--stage <name...>', 'only these stages and what waits for them')
    .action(async (run: string, options: ConnectionOptions & { stage?: string[] }) => {
      const { state } = await connect(options).post(
        `/v1/runs/${encodeURIComponent(run)}/retry`,
        RunView,
        options.stage === undefined ? {} : { stages: options.stage },
      )
      stdout.write(`${state}\n`)
    })

  withConnection(
    runs.command('logs <run> <stage>').description("a stage's log, over all its attempts"),
  ).action(async (run: string, name: string, options: ConnectionOptions) => {
    const client = connect(options)
    const view = await client.get(`/v1/runs/${encodeURIComponent(run)}`, RunView)
    const stage = view.stages.find((candidate) => candidate.name === name)
    if (!stage)
      throw new UsageError(
        `run ${run} has no stage "${name}"; it has: ${view.stages.map((candidate) => candidate.name).join(', ')}`,
      )
    for (let from = 0; ; ) {
      const page = await client.get(`/v1/stages/${stage.id}/logs?from=${from}`, LogPage)
      for (const line of page.lines) stdout.write(`${line.time} ${line.text}\n`)
      if (page.lines.length === 0) return
      from = page.next
    }
  })
}
