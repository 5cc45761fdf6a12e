/**
 * Eight colours a scheme, slot by slot of one hue family. Chosen by search: 3:1 against the background, and at least
 * 20 (light), 30 (dark) apart in CIELAB for any two, without colour vision deficiency and with each of its three kinds.
 */
export const COLOURS = {
  light: ['#1245df', '#e2263c', '#187470', '#9d3ba9', '#3b92fd', '#6f430a', '#1f2350', '#8f0a38'],
  dark: ['#646fe9', '#d25f28', '#02f484', '#9e599e', '#a7d1fd', '#ffc40f', '#fffff9', '#aca6a3'],
} as const

export type Scheme = keyof typeof COLOURS

/** From the ninth key on a colour comes again with another dash, in CSS pixels. Attempts' joins are dotted finer. */
const DASHES: readonly (readonly number[])[] = [[], [10, 4], [6, 3, 2, 3], [14, 3, 3, 3]]

export interface LineStyle {
  colour: string
  dash: number[]
}

/** FNV-1a, 32 bits: a key prefers the same slot in every session. */
function hash(key: string): number {
  let state = 0x811c9dc5
  for (const letter of key) state = Math.imul(state ^ (letter.codePointAt(0) ?? 0), 0x01000193)
  return state >>> 0
}

/**
 * Gives each key a slot and keeps it, so that a key has one style in all charts of the page. The first slot asked is
 * the key's hash; where another key has it, the next free one. Which of two such keys came first decides, so a style
 * can differ after a reload; within one it cannot.
 */
export function createPalette() {
  const slots = COLOURS.light.length
  const all = slots * DASHES.length
  const taken = new Map<string, number>()
  const used = new Set<number>()

  function slotOf(key: string): number {
    const known = taken.get(key)
    if (known !== undefined) return known
    // Each dash is used up before the next, so that few keys have plain lines of different colours.
    const level = Math.min(Math.floor(used.size / slots), DASHES.length - 1)
    const wish = hash(key) % slots
    let slot = level * slots + wish
    for (let tries = 0; tries < slots && used.has(slot); tries++) slot = level * slots + ((slot + 1) % slots)
    if (used.size < all) used.add(slot)
    taken.set(key, slot)
    return slot
  }

  return {
    style(key: string, scheme: Scheme): LineStyle {
      const slot = slotOf(key)
      return {
        colour: COLOURS[scheme][slot % slots] ?? COLOURS[scheme][0],
        dash: [...(DASHES[Math.floor(slot / slots)] ?? [])],
      }
    },
  }
}

/** The page's own: all charts ask this one. */
export const palette = createPalette()
