import { type EvaluationView, GENEVAL_TASKS } from '@limbeck/contracts'

type Protocol = EvaluationView['protocol']

export interface ProtocolGroup {
  hash: string
  protocol: Protocol
  /** Newest first, as they came. */
  results: EvaluationView[]
  /** GenEval's order, then what it does not name. */
  tags: string[]
}

/** Results that may be compared: those of one protocol hash, and no others. Most steps first. */
export function groupByProtocol(evaluations: readonly EvaluationView[]): ProtocolGroup[] {
  return [...Map.groupBy(evaluations, ({ protocol_hash }) => protocol_hash)]
    .flatMap(([hash, results]) => {
      const [first] = results
      return first === undefined ? [] : [{ hash, protocol: first.protocol, results, tags: tagsOf(results) }]
    })
    .sort((a, b) => b.protocol.steps - a.protocol.steps || (a.hash < b.hash ? -1 : 1))
}

/** JSON in the database keeps no order of keys. */
function tagsOf(results: readonly EvaluationView[]): string[] {
  const found = new Set(results.flatMap(({ per_tag }) => Object.keys(per_tag)))
  const known = GENEVAL_TASKS.filter((tag) => found.has(tag))
  return [...known, ...[...found].filter((tag) => !known.some((one) => one === tag)).sort()]
}

const plural = (count: number, one: string): string => `${count} ${one}${count === 1 ? '' : 's'}`

export const protocolTitle = ({ benchmark, steps, guidance_scale }: Protocol): string =>
  `${benchmark}, ${plural(steps, 'step')}, guidance ${guidance_scale}`

/** Everything that decides the number, in words. */
export function protocolParts(protocol: Protocol): string[] {
  const { guidance_scale, grid, shift } = protocol
  return [
    `${protocol.sampler}, ${plural(protocol.steps, 'step')}`,
    grid === null ? `grid even in t, shift ${shift}` : `grid ${grid.join(', ')}`,
    `guidance ${guidance_scale}${guidance_scale === 1 ? ' (one forward a step)' : ''}`,
    `${plural(protocol.prompts_per_tag, 'prompt')} a tag`,
    protocol.held_out_per_tag === 0
      ? 'no held-out prompts'
      : `${protocol.held_out_per_tag} held-out a tag, scored apart`,
    `${plural(protocol.images_per_prompt, 'image')} a prompt`,
    `seed ${protocol.seed}`,
    `scorer ${protocol.scorer}`,
    protocol.dtype,
  ]
}

/** Evaluations with the same text here drew the same prompts from the same noise, whatever their steps. */
export const questionsKey = ({ protocol }: Pick<EvaluationView, 'protocol'>): string =>
  [
    protocol.benchmark,
    protocol.prompts_per_tag,
    protocol.held_out_per_tag,
    protocol.images_per_prompt,
    protocol.seed,
  ].join('/')

/** The first `limit` results, and those that the page has chosen, wherever they stand. */
export const firstResults = (
  results: readonly EvaluationView[],
  limit: number,
  chosen: readonly (string | undefined)[],
): EvaluationView[] => results.filter(({ id }, place) => place < limit || chosen.includes(id))
