import type { EvaluationView } from '@limbeck/contracts'

type Part = Omit<Partial<EvaluationView>, 'id' | 'protocol'> & {
  id?: string
  protocol?: Partial<EvaluationView['protocol']>
}

export function evaluation({ protocol, id, ...part }: Part = {}): EvaluationView {
  return {
    id: id ?? 'evl_a',
    run: 'run_a',
    stage: 'stg_a',
    stage_name: 'evaluate',
    model: null,
    created_at: '2026-11-27T10:00:00.000Z',
    role: 'distilled',
    protocol: {
      benchmark: 'shapes-geneval',
      prompts_per_tag: 50,
      held_out_per_tag: 20,
      images_per_prompt: 1,
      seed: 1,
      sampler: 'flow-euler',
      steps: 28,
      grid: null,
      shift: 1,
      guidance_scale: 2,
      dtype: 'float32',
      scorer: 'shapes-detector-v1',
      ...protocol,
    },
    protocol_hash: 'a'.repeat(64),
    parameters: 240_244,
    overall: 0.5,
    interval: [0.4, 0.6],
    per_tag: {},
    held_out: null,
    verdicts: [],
    images_per_second: 5.5,
    extra: [],
    ...part,
  } as EvaluationView
}
