import type { Gate, GateResult, Recipe, StageResult } from '@limbeck/contracts'

type Metric = Gate['metric']

/** The measured value, or null where the stage did not report it: what was not measured never passes. */
function measure(metric: Metric, results: Readonly<Record<string, StageResult>>): number | null {
  const result = results[metric.stage]
  if (!result) return null
  if (metric.source === 'metric') return result.metrics[metric.name] ?? null
  const evaluation = result.evaluations.find((candidate) => candidate.protocol.steps === metric.steps)
  if (!evaluation) return null
  return metric.value === 'overall' ? evaluation.overall : (evaluation.held_out?.score ?? null)
}

const describe = (metric: Metric): string =>
  metric.source === 'metric'
    ? `${metric.name} of ${metric.stage}`
    : `${metric.value} of ${metric.stage} at ${metric.steps} steps`

const round = (value: number): number => Number(value.toPrecision(6))

function judge(gate: Gate, results: Readonly<Record<string, StageResult>>): GateResult {
  const value = measure(gate.metric, results)
  const baseline = gate.baseline ? measure(gate.baseline, results) : 0
  const measured = value === null || baseline === null ? null : value - baseline
  const passed =
    measured !== null && (gate.comparator === '>=' ? measured >= gate.threshold : measured <= gate.threshold)
  const against = gate.baseline
    ? ` minus ${describe(gate.baseline)} (${baseline === null ? 'not measured' : round(baseline)})`
    : ''
  return {
    name: gate.name,
    gate,
    measured,
    required: `${gate.comparator} ${gate.threshold}`,
    passed,
    detail: `${describe(gate.metric)} (${value === null ? 'not measured' : round(value)})${against}`,
  }
}

/** Each gate of the recipe against what the run's stages reported; results by stage name. */
export const evaluateGates = (recipe: Recipe, results: Readonly<Record<string, StageResult>>): GateResult[] =>
  recipe.gates.map((gate) => judge(gate, results))
