/** Prompts of one tag: what each adds to a difference, and how many images it has. */
export interface Stratum {
  /** Correct images of the first less those of the second, prompt by prompt. */
  difference: readonly number[]
  images: readonly number[]
}

export const REPLICATES = 2000
const LEVEL = 0.95
/** Draws between two pauses: about a millisecond. */
const SLICE = 100_000

/** FNV-1a: a stratum's draws depend on its name alone, not on which others there are. */
function keyOf(seed: number, name: string): number {
  let state = 0x811c9dc5 ^ seed
  for (const letter of name) state = Math.imul(state ^ (letter.codePointAt(0) ?? 0), 0x01000193)
  return state >>> 0
}

/** Mulberry32: whole numbers 0 to 2^32 - 1. */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
}

/**
 * Mean difference an image in each replicate: prompts are drawn with replacement, with all their images, since those
 * of one prompt correlate. Yields now and then, so that a page can draw in between.
 */
export function* resampled(name: string, { difference, images }: Stratum, seed: number) {
  const draw = generator(keyOf(seed, name))
  const prompts = difference.length
  const means = new Float64Array(REPLICATES)
  let draws = 0
  for (let replicate = 0; replicate < REPLICATES; replicate++) {
    let sum = 0
    let count = 0
    for (let n = 0; n < prompts; n++) {
      const prompt = Math.floor((draw() / 2 ** 32) * prompts)
      sum += difference[prompt] ?? 0
      count += images[prompt] ?? 0
    }
    means[replicate] = sum / count
    draws += prompts
    if (draws >= SLICE) {
      draws = 0
      yield
    }
  }
  return means
}

/** The central 95 % of the replicates, by linear interpolation. */
export function percentileInterval(values: Float64Array): [number, number] {
  const sorted = values.toSorted()
  const quantile = (share: number): number => {
    const place = share * (sorted.length - 1)
    const below = sorted[Math.floor(place)] ?? 0
    return below + ((sorted[Math.ceil(place)] ?? below) - below) * (place - Math.floor(place))
  }
  return [quantile((1 - LEVEL) / 2), quantile((1 + LEVEL) / 2)]
}
