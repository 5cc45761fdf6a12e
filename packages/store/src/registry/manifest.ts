import type { EvaluationResult, ReleaseManifest } from '@limbeck/contracts'
import type { z } from 'zod'
import type { RunRow, StageRow } from '../rows.ts'
import type { ModelVersionRow } from '../sql/models.ts'

/** Everything a release stands for, from what the run left: pure, so that the same run gives the same bytes. */
export function releaseManifest(
  release: { alias: string; promoted_by: string; promoted_at: string },
  model: ModelVersionRow,
  run: RunRow,
  stages: readonly StageRow[],
  evaluations: readonly EvaluationResult[],
): z.infer<typeof ReleaseManifest> {
  const assets = Object.entries(run.assets).map(([name, { digest, licence }]) => ({ name, digest, licence }))
  return {
    format: 'limbeck-release-1',
    alias: release.alias,
    model_version: model.id,
    name: model.name,
    version: model.version,
    run: run.id,
    recipe: { name: run.recipe, version: run.recipe_version, digest: run.recipe_digest },
    model: model.model,
    decoder: model.decoder,
    package: model.package,
    lineage: stages.flatMap((stage) =>
      stage.output_digest === null
        ? []
        : [
            {
              stage: stage.name,
              kind: stage.kind,
              output: stage.output_digest,
              cache_key: stage.cache_key,
              inputs: stage.input_digests ?? {},
            },
          ],
    ),
    assets,
    evaluations: evaluations.map(({ verdicts: _, ...evaluation }) => evaluation),
    gates: model.gates,
    licences: [...new Set([...run.recipe_body.licences, ...assets.map((asset) => asset.licence)])],
    promoted_by: release.promoted_by,
    promoted_at: release.promoted_at,
  }
}
