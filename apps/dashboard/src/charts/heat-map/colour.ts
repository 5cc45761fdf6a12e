import { type Lab, labToRgb, polar, type Rgb } from './colour-space.ts'

export const COLOUR_MAPS = ['sequential', 'diverging'] as const
export type ColourMap = (typeof COLOUR_MAPS)[number]

/** Entries of a lookup table. */
export const TABLE_SIZE = 256

/**
 * Dark indigo over violet and red to amber. Lightness rises evenly, so that it reads without colour vision; it ends at
 * 0.84 to leave white to the mark of non-finite cells.
 */
const SEQUENTIAL = [
  polar(0.17, 0.05, 285),
  polar(0.304, 0.12, 293),
  polar(0.438, 0.16, 330),
  polar(0.572, 0.18, 15),
  polar(0.706, 0.165, 45),
  polar(0.84, 0.155, 80),
]

/** Blue below zero, dark grey at it, amber above: no red or green, and dark means little here, too. */
const DIVERGING = [
  polar(0.82, 0.1, 228),
  polar(0.63, 0.125, 240),
  polar(0.43, 0.1, 252),
  polar(0.22, 0, 0),
  polar(0.43, 0.085, 55),
  polar(0.63, 0.135, 60),
  polar(0.82, 0.145, 80),
]

/**
 * Cells without a place on a map. White is far from both maps by lightness alone, which every colour vision has; blue
 * (zero or less on a log scale) meets only the sequential map: differences are never on a log scale.
 */
export const MARK_COLOURS = { nonFinite: '#ffffff', nonPositive: '#4bb4ff' } as const

function table(anchors: readonly Lab[]): Rgb[] {
  return Array.from({ length: TABLE_SIZE }, (_, entry) => {
    const place = (entry / (TABLE_SIZE - 1)) * (anchors.length - 1)
    const low = Math.min(Math.floor(place), anchors.length - 2)
    const [from, to] = [anchors[low], anchors[low + 1]]
    if (!from || !to) return [0, 0, 0]
    const mix = (channel: 0 | 1 | 2) => from[channel] + (place - low) * (to[channel] - from[channel])
    return labToRgb([mix(0), mix(1), mix(2)])
  })
}

/** From the lowest value (0) to the highest (255). */
export const TABLES: Record<ColourMap, readonly Rgb[]> = {
  sequential: table(SEQUENTIAL),
  diverging: table(DIVERGING),
}

/** One opaque pixel as ImageData has it in memory; little-endian, as all that browsers run on. */
export const packed = ([red, green, blue]: Rgb): number =>
  ((255 << 24) | (byte(blue) << 16) | (byte(green) << 8) | byte(red)) >>> 0

const byte = (channel: number): number => Math.round(Math.min(1, Math.max(0, channel)) * 255)

export const hexToRgb = (hex: string): Rgb => {
  const all = Number.parseInt(hex.slice(1), 16)
  return [(all >> 16) / 255, ((all >> 8) & 255) / 255, (all & 255) / 255]
}

export const PACKED: Record<ColourMap, Uint32Array> = {
  sequential: Uint32Array.from(TABLES.sequential, packed),
  diverging: Uint32Array.from(TABLES.diverging, packed),
}

/** For the colour bar; the browser mixes in sRGB, so it gets a stop at every eighth entry. */
export function cssGradient(map: ColourMap, direction: string): string {
  const stops = TABLES[map]
    .filter((_, entry) => entry % 8 === 0 || entry === TABLE_SIZE - 1)
    .map((colour) => `rgb(${colour.map(byte).join(' ')})`)
  return `linear-gradient(${direction}, ${stops.join(', ')})`
}
