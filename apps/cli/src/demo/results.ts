import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { RunView } from '@limbeck/contracts'
import type { ApiClient } from '../client.ts'
import { runPython } from '../python.ts'
import { downloadTree } from '../trees.ts'

/** Columns of the sample grid, left to right: stage, steps, title. Those that a run lacks are left out. */
const GRID = [
  ['evaluate_teacher', 28, 'teacher 28 steps'],
  ['evaluate_control_steps', 28, 'no KD, same steps'],
  ['evaluate_control', 28, 'no KD, same compute'],
  ['evaluate_distilled', 28, 'distilled 28 steps'],
  ['evaluate_few_step', 8, 'few-step 8 steps'],
  ['evaluate_few_step', 4, 'few-step 4 steps'],
] as const

/** Writes samples.png: rows are prompts, columns are models. @returns its path, or null when nothing was evaluated. */
export async function sampleGrid(client: ApiClient, run: RunView, folder: string): Promise<string | null> {
  const columns: string[] = []
  for (const [stageName, steps, title] of GRID) {
    const stage = run.stages.find((candidate) => candidate.name === stageName)
    if (!stage?.output) continue
    const target = join(folder, 'evaluations', stageName)
    const written = await downloadTree(client, stage.output, target, (path) =>
      path.startsWith(`steps-${steps}/sheet.`),
    )
    if (written.length > 0) columns.push(`${title}=${join(target, `steps-${steps}`)}`)
  }
  if (columns.length === 0) return null
  const out = join(folder, 'samples.png')
  runPython('limbeck.evaluation', ['grid', out, ...columns], 60_000)
  return out
}

/** Writes the exported packages. @returns their folder and size, or null when the run has none. */
export async function corePackages(
  client: ApiClient,
  run: RunView,
  folder: string,
): Promise<{ path: string; bytes: number } | null> {
  const stage = run.stages.find((candidate) => candidate.kind === 'export_coreml')
  if (!stage?.output) return null
  const path = join(folder, 'coreml')
  mkdirSync(path, { recursive: true })
  await downloadTree(client, stage.output, path)
  return { path, bytes: stage.result?.metrics.package_bytes ?? 0 }
}
