/** Ticks are values inside [low, high], ascending; `most` is a wish, exceeded by at most a few. */

/** Steps of 1, 2 or 5 times a power of ten. */
export function linearTicks(low: number, high: number, most: number): number[] {
  // A range that a double can hardly divide would give the same tick over and over.
  const narrow = !(high - low > Math.max(Math.abs(low), Math.abs(high)) * 1e-11)
  if (narrow || !Number.isFinite(high - low)) return Number.isFinite(low) ? [low] : []
  const raw = (high - low) / Math.max(most, 1)
  const power = 10 ** Math.floor(Math.log10(raw))
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= raw * (1 - 1e-9)) ?? 10)
  const ticks: number[] = []
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high + step * 1e-9; index++) {
    // The product alone gives 0.30000000000000004.
    ticks.push(Number((index * step).toPrecision(12)))
  }
  // A wide step can miss the range but for one multiple; one tick alone gives no scale.
  return ticks.length < 2 ? linearTicks(low, high, most * 2) : ticks
}

/** Exponents between two bounds, thinned to every nth, n so that zero stays one of them. */
export function exponents(low: number, high: number, most: number): number[] {
  const first = Math.ceil(low - 1e-9)
  const last = Math.floor(high + 1e-9)
  const stride = Math.max(1, Math.ceil((last - first + 1) / Math.max(most, 1)))
  const found: number[] = []
  for (let exponent = Math.ceil(first / stride) * stride; exponent <= last; exponent += stride) {
    // "-0" would print as a power of its own.
    found.push(exponent + 0)
  }
  return found
}

/** Powers of the base; below two of them in view (less than a power wide) steps of equal width instead. */
export function logTicks(low: number, high: number, most: number, base: 2 | 10): number[] {
  const log = base === 2 ? Math.log2 : Math.log10
  const found = exponents(log(low), log(high), most)
  if (found.length < 2) return linearTicks(low, high, most).filter((tick) => tick > 0)
  const powers = found.map((exponent) => base ** exponent)
  // Few decades leave room for the 2 and the 5 between them.
  if (base === 2 || found.length * 3 > most) return powers
  const decades = exponents(log(low) - 1, log(high), Number.POSITIVE_INFINITY)
  return decades
    .flatMap((exponent) => [1, 2, 5].map((factor) => Number((factor * 10 ** exponent).toPrecision(3))))
    .filter((tick) => tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9))
}

/**
 * Zero and powers of ten on both sides of it. A power stands only where it has room: around the threshold the powers
 * are closer to zero, in position, than to each other.
 */
export function symlogTicks(low: number, high: number, most: number, threshold: number): number[] {
  const reach = Math.max(Math.abs(low), Math.abs(high))
  if (!(reach > threshold) || !Number.isFinite(reach)) return linearTicks(low, high, most)
  const position = (value: number) => Math.sign(value) * Math.log10(1 + Math.abs(value) / threshold)
  const room = (position(high) - position(low)) / (most + 1)
  const start = Math.round(Math.log10(threshold))
  const powers: number[] = []
  let taken = 0
  for (let exponent = start; exponent <= Math.log10(reach) + 1e-9; exponent++) {
    const power = Number(`1e${exponent}`)
    if (position(power) - taken < room) continue
    powers.push(power)
    taken = position(power)
  }
  const all = [...powers.map((power) => -power).reverse(), 0, ...powers]
  const inside = all.filter((tick) => tick >= low && tick <= high)
  return inside.length < 2 ? linearTicks(low, high, most) : inside
}
