import { percentileInterval, REPLICATES, resampled, type Stratum } from './bootstrap.ts'
import type { Question } from './questions.ts'

export interface Difference {
  /** Share of correct images, first less second. */
  value: number
  /** 95 %, bootstrap over prompts. */
  interval: [number, number]
  images: number
  /** Images that only the first has right, and only the second. */
  gained: number
  lost: number
}

export interface PairedDifference {
  /** Unweighted mean over the tags, as the score is. */
  overall: Difference
  perTag: ReadonlyMap<string, Difference>
  heldOut: Difference | null
}

const SEED = 0

/**
 * First minus second over the same prompts and noise. Both are resampled by the same prompts, so what makes a prompt
 * easy for both cancels. Yields now and then: run it in slices, or with `pairedDifference` to its end.
 */
export function* pairing(
  questions: readonly Question[],
  first: readonly boolean[],
  second: readonly boolean[],
  seed = SEED,
): Generator<void, PairedDifference> {
  if (questions.length === 0 || first.length !== questions.length || second.length !== questions.length)
    throw new RangeError(
      `need a verdict of both for each of >= 1 pictures, got ${questions.length} pictures, ${first.length} and ${second.length} verdicts`,
    )
  const perTag = new Map<string, Difference>()
  const pooled = { trained: newPool(), heldOut: newPool() }
  const places = questions.map((_, place) => place)
  for (const [name, found] of Map.groupBy(places, (place) => nameOf(questions[place]))) {
    const heldOut = questions[found[0] ?? 0]?.heldOut === true
    const { stratum, gained, lost } = stratumOf(found, questions, first, second)
    const means = yield* resampled(name, stratum, seed)
    const one = {
      value: (gained - lost) / found.length,
      interval: percentileInterval(means),
      images: found.length,
      gained,
      lost,
    }
    add(heldOut ? pooled.heldOut : pooled.trained, one, means)
    if (!heldOut) perTag.set(questions[found[0] ?? 0]?.tag ?? '', one)
    yield
  }
  const heldOut = pooled.heldOut.tags === 0 ? null : meanOf(pooled.heldOut)
  // A benchmark of held-out prompts alone has no other score.
  return {
    overall: pooled.trained.tags === 0 ? (heldOut as Difference) : meanOf(pooled.trained),
    perTag,
    heldOut,
  }
}

export function pairedDifference(...input: Parameters<typeof pairing>): PairedDifference {
  const steps = pairing(...input)
  for (;;) {
    const { done, value } = steps.next()
    if (done) return value
  }
}

const nameOf = (question: Question | undefined): string =>
  `${question?.heldOut ? 'held-out' : 'trained'}/${question?.tag}`

function stratumOf(
  places: readonly number[],
  questions: readonly Question[],
  first: readonly boolean[],
  second: readonly boolean[],
): { stratum: Stratum; gained: number; lost: number } {
  const prompts = new Map<string, { difference: number; images: number }>()
  let gained = 0
  let lost = 0
  for (const place of places) {
    const prompt = questions[place]?.prompt ?? ''
    const difference = Number(first[place] === true) - Number(second[place] === true)
    if (difference > 0) gained++
    if (difference < 0) lost++
    const before = prompts.get(prompt) ?? { difference: 0, images: 0 }
    prompts.set(prompt, { difference: before.difference + difference, images: before.images + 1 })
  }
  const all = [...prompts.values()]
  return {
    stratum: { difference: all.map(({ difference }) => difference), images: all.map(({ images }) => images) },
    gained,
    lost,
  }
}

/** Sums over tags, replicate by replicate. */
interface Pool {
  tags: number
  value: number
  images: number
  gained: number
  lost: number
  replicates: Float64Array
}

const newPool = (): Pool => ({
  tags: 0,
  value: 0,
  images: 0,
  gained: 0,
  lost: 0,
  replicates: new Float64Array(REPLICATES),
})

function add(pool: Pool, one: Difference, means: Float64Array): void {
  pool.tags++
  pool.value += one.value
  pool.images += one.images
  pool.gained += one.gained
  pool.lost += one.lost
  for (let n = 0; n < means.length; n++) pool.replicates[n] = (pool.replicates[n] ?? 0) + (means[n] ?? 0)
}

const meanOf = ({ tags, value, images, gained, lost, replicates }: Pool): Difference => ({
  value: value / tags,
  interval: percentileInterval(replicates.map((sum) => sum / tags)),
  images,
  gained,
  lost,
})

/** What a difference says at 95 %. An interval that touches 0 does not tell the two apart. */
export const standing = ({ interval: [low, high] }: Difference): 'better' | 'worse' | 'not told apart' =>
  low > 0 ? 'better' : high < 0 ? 'worse' : 'not told apart'
