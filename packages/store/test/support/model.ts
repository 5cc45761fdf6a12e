import type { StageState } from '@limbeck/contracts'

/**
 * What the store should do, written a second time and as simply as possible, without the tables of core: one process,
 * no transactions, no SQL. The property test compares every stage after every command.
 */
export interface ModelStage {
  name: string
  needs: string[]
  state: StageState
  epoch: number
  worker: string | null
  cancel: boolean
  user: number
  infrastructure: number
  output: string | null
  /** Highest step of a checkpoint of any attempt; the attempt's own, and where it started. */
  saved: number | null
  checkpoint: number
  resumed: number
  ended: Map<number, { worker: string; how: 'failed' | 'lost' | 'released' | 'cancelled' | 'succeeded' }>
  /** Every change of state, "from to". */
  changes: string[]
}

export class Model {
  readonly runs: { cancel: boolean; stages: ModelStage[] }[] = []

  submit(graph: Record<string, string[]>): void {
    const stages = Object.entries(graph).map(
      ([name, needs]): ModelStage => ({
        ...{
          name,
          needs,
          state: 'blocked',
          epoch: 0,
          worker: null,
          cancel: false,
          user: 0,
          infrastructure: 0,
        },
        ...{ output: null, saved: null, checkpoint: -1, resumed: 0, ended: new Map(), changes: [] },
      }),
    )
    this.runs.push({ cancel: false, stages })
    this.settle(stages)
  }

  private move(stage: ModelStage, to: StageState): void {
    stage.changes.push(`${stage.state} ${to}`)
    stage.state = to
  }

  private settle(stages: ModelStage[]): void {
    for (let again = true; again; ) {
      again = false
      for (const stage of stages.filter(({ state }) => state === 'blocked')) {
        const needs = stages.filter(({ name }) => stage.needs.includes(name)).map(({ state }) => state)
        const broken = needs.some((state) => ['failed', 'cancelled', 'skipped'].includes(state))
        if (!broken && !needs.every((state) => state === 'succeeded')) continue
        this.move(stage, broken ? 'skipped' : 'queued')
        again = true
      }
    }
  }

  private runOf(stage: ModelStage) {
    const run = this.runs.find(({ stages }) => stages.includes(stage))
    if (run === undefined) throw new Error('a stage without a run')
    return run
  }

  claim(worker: string): ModelStage | null {
    const stage = this.runs.flatMap(({ stages }) => stages).find(({ state }) => state === 'queued')
    if (stage === undefined) return null
    this.move(stage, 'running')
    stage.epoch++
    Object.assign(stage, { worker, checkpoint: -1, resumed: stage.saved ?? 0 })
    return stage
  }

  holds = (stage: ModelStage, worker: string, epoch: number): boolean =>
    stage.state === 'running' && stage.epoch === epoch && stage.worker === worker

  checkpoint(stage: ModelStage, worker: string, epoch: number, step: number): boolean {
    if (!this.holds(stage, worker, epoch)) return false
    stage.checkpoint = Math.max(stage.checkpoint, step)
    stage.saved = Math.max(stage.saved ?? 0, step)
    return true
  }

  complete(stage: ModelStage, worker: string, epoch: number, output: string): 'ok' | 'lost' | 'conflict' {
    if (this.holds(stage, worker, epoch)) {
      this.move(stage, 'verifying')
      Object.assign(stage, { output, worker: null })
      return 'ok'
    }
    if (stage.epoch !== epoch || stage.output === null) return 'lost'
    return stage.output === output ? 'ok' : 'conflict'
  }

  /** The attempt ends without success. `budget` null: never retried; 'free': not charged. */
  end(
    stage: ModelStage,
    how: 'failed' | 'lost' | 'released',
    budget: 'user' | 'infrastructure' | 'free' | null,
  ): void {
    let again = budget !== null
    if (stage.cancel) again = false
    else if (budget === 'user') again = ++stage.user <= 1
    else if (budget === 'infrastructure') again = ++stage.infrastructure <= 5
    this.move(stage, stage.cancel ? 'cancelled' : again ? 'queued' : 'failed')
    const worker = stage.worker ?? ''
    stage.ended.set(stage.epoch, { worker, how: stage.cancel ? 'cancelled' : how })
    Object.assign(stage, { worker: null, output: null })
    this.settle(this.runOf(stage).stages)
  }

  release(stage: ModelStage, reason: 'preempted' | 'cancelled'): void {
    if (reason === 'cancelled' && stage.cancel) this.end(stage, 'released', null)
    else this.end(stage, 'released', stage.checkpoint > stage.resumed ? 'free' : 'infrastructure')
  }

  succeed(stage: ModelStage): void {
    this.move(stage, 'succeeded')
    stage.ended.set(stage.epoch, { worker: '', how: 'succeeded' })
    this.settle(this.runOf(stage).stages)
  }

  private over = (stages: ModelStage[]): boolean =>
    stages.every(({ state }) => ['succeeded', 'failed', 'cancelled', 'skipped'].includes(state))

  cancel(index: number): boolean {
    const run = this.runs[index]
    if (run === undefined) return false
    if (this.over(run.stages))
      return (
        run.stages.some(({ state }) => state === 'cancelled') &&
        !run.stages.some(({ state }) => state === 'failed')
      )
    run.cancel = true
    for (const stage of run.stages) {
      if (stage.state === 'blocked' || stage.state === 'queued') this.move(stage, 'cancelled')
      if (stage.state === 'running' || stage.state === 'verifying') stage.cancel = true
    }
    return true
  }

  retry(index: number): boolean {
    const run = this.runs[index]
    if (run === undefined) return false
    if (run.cancel && run.stages.some(({ state }) => state === 'running' || state === 'verifying'))
      return false
    const open = run.stages.filter(({ state }) => ['failed', 'cancelled', 'skipped'].includes(state))
    if (open.length === 0) return false
    run.cancel = false
    for (const stage of open) {
      this.move(stage, 'blocked')
      Object.assign(stage, { cancel: false, user: 0, infrastructure: 0 })
    }
    this.settle(run.stages)
    return true
  }
}
