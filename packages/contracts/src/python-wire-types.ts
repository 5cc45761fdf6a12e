import { z } from 'zod'
import { StageResult } from './stage-result.ts'
import { StageSpec } from './stage-spec.ts'

/** Everything the Python side speaks; each member becomes a model in limbeck.contracts.generated. */
export const PythonWireTypes = z.strictObject({
  stage_spec: StageSpec,
  stage_result: StageResult,
})
