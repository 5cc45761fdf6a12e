import { VICTIMS, type Victim } from './victims.ts'

/** Kill `victim` when `stage` has passed `share` of its steps. */
export interface Blow {
  victim: Victim
  stage: 'distill' | 'few_step'
  share: number
}

/** mulberry32: small, seeded, good enough to choose moments. */
export function randomness(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

/** Each victim once in a round, in shuffled order, half of them in each distillation stage. */
export function schedule(seed: number): Blow[] {
  const random = randomness(seed)
  const order = VICTIMS.map((victim) => ({ victim, key: random() })).sort((a, b) => a.key - b.key)
  return order
    .map(
      ({ victim }, place): Blow => ({
        victim,
        stage: place < 3 ? 'distill' : 'few_step',
        share: random() * 0.8,
      }),
    )
    .sort((a, b) => (a.stage === b.stage ? a.share - b.share : a.stage === 'distill' ? -1 : 1))
}
