import { describe, expect, it } from 'vitest'
import {
  COLOUR_MAPS,
  cssGradient,
  hexToRgb,
  MARK_COLOURS,
  PACKED,
  packed,
  TABLE_SIZE,
  TABLES,
} from '../colour.ts'
import {
  distance,
  type Lab,
  labToRgb,
  linearToLab,
  type Rgb,
  rgbToLab,
  times,
  toLinear,
} from '../colour-space.ts'

/** Full protan-, deuter- and tritanopia on linear sRGB (Machado, Oliveira, Fernandes 2009). */
const VISIONS: Record<string, readonly [Lab, Lab, Lab]> = {
  normal: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanopia: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
}
const seen = (rgb: Rgb, vision: string): Lab => {
  const [red, green, blue] = times(VISIONS[vision]!, toLinear(rgb))
  const shown = (value: number) => Math.min(1, Math.max(0, value))
  return linearToLab([shown(red), shown(green), shown(blue)])
}
/** Relative luminance as WCAG defines it. */
const luminance = (rgb: Rgb): number => {
  const [red, green, blue] = toLinear(rgb)
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}
const nearest = (rgb: Rgb, table: readonly Rgb[], vision: string): number =>
  Math.min(...table.map((colour) => distance(seen(rgb, vision), seen(colour, vision))))

it('converts to OKLab and back', () => {
  for (const rgb of [hexToRgb('#4bb4ff'), hexToRgb('#123456'), [0, 0, 0] as const]) {
    for (const [index, channel] of labToRgb(rgbToLab(rgb)).entries())
      expect(channel).toBeCloseTo(rgb[index]!, 5)
  }
  expect(rgbToLab([1, 1, 1])[0]).toBeCloseTo(1, 5)
  // Ottosson's own value for pure red.
  expect(rgbToLab([1, 0, 0])[0]).toBeCloseTo(0.62796, 4)
})

describe.each(COLOUR_MAPS)('the %s map', (map) => {
  const table = TABLES[map]

  it('has 256 colours that a screen can show', () => {
    expect(table).toHaveLength(TABLE_SIZE)
    for (const rgb of table) {
      for (const channel of rgb) {
        expect(channel).toBeGreaterThan(-0.005)
        expect(channel).toBeLessThan(1.005)
      }
    }
  })

  it('has no jump: neighbours are about equally far apart', () => {
    const all = table.slice(1).map((rgb, index) => distance(rgbToLab(rgb), rgbToLab(table[index]!)))
    // The two entries around zero are mirror images, equally dark: the only ones that have to be close.
    const gaps = map === 'diverging' ? all.toSpliced(127, 1) : all
    expect(Math.max(...gaps)).toBeLessThan(0.012)
    expect(Math.max(...gaps) / Math.min(...gaps)).toBeLessThan(2.5)
  })

  it('does not contain the mark of non-finite cells, in any colour vision', () => {
    const mark = hexToRgb(MARK_COLOURS.nonFinite)
    for (const vision of Object.keys(VISIONS))
      expect(nearest(mark, table, vision), vision).toBeGreaterThan(0.15)
    expect([...PACKED[map]]).not.toContain(packed(mark))
  })
})

describe('the sequential map', () => {
  it.each(Object.keys(VISIONS))('rises in luminance all the way with %s', (vision) => {
    const lightness = TABLES.sequential.map((rgb) => seen(rgb, vision)[0])
    for (const [index, value] of lightness.slice(1).entries())
      expect(value).toBeGreaterThan(lightness[index]!)
  })

  it('rises evenly, from near black to bright', () => {
    const lightness = TABLES.sequential.map((rgb) => rgbToLab(rgb)[0])
    const even = (index: number) => lightness[0]! + (index / 255) * (lightness[255]! - lightness[0]!)
    for (const [index, value] of lightness.entries())
      expect(Math.abs(value - even(index))).toBeLessThan(0.005)
    expect(luminance(TABLES.sequential[0]!)).toBeLessThan(0.02)
    expect(luminance(TABLES.sequential[255]!)).toBeGreaterThan(0.5)
  })

  it('is far from the mark of zero or less, and that from the other mark', () => {
    const mark = hexToRgb(MARK_COLOURS.nonPositive)
    for (const vision of Object.keys(VISIONS)) {
      expect(nearest(mark, TABLES.sequential, vision), vision).toBeGreaterThan(0.15)
      expect(nearest(mark, [hexToRgb(MARK_COLOURS.nonFinite)], vision), vision).toBeGreaterThan(0.15)
    }
  })
})

describe('the diverging map', () => {
  const lightness = TABLES.diverging.map((rgb) => rgbToLab(rgb)[0])

  it('is darkest and without hue in the middle, and as bright at one end as at the other', () => {
    const [, a, b] = rgbToLab(TABLES.diverging[128]!)
    expect(Math.hypot(a, b)).toBeLessThan(0.01)
    for (let index = 0; index < 127; index++) {
      expect(lightness[index]!).toBeGreaterThan(lightness[index + 1]!)
      expect(lightness[255 - index]!).toBeGreaterThan(lightness[254 - index]!)
      expect(Math.abs(lightness[index]! - lightness[255 - index]!)).toBeLessThan(0.01)
    }
  })

  it.each(Object.keys(VISIONS))('tells below from above with %s', (vision) => {
    for (let index = 0; index < 96; index++) {
      const sides = [index, 255 - index].map((entry) => seen(TABLES.diverging[entry]!, vision))
      expect(distance(sides[0]!, sides[1]!), `entry ${index}`).toBeGreaterThan(0.07)
    }
  })
})

it('packs a pixel as ImageData has it in memory', () => {
  const bytes = new Uint8ClampedArray(Uint32Array.of(packed(hexToRgb('#4bb4ff'))).buffer)
  expect([...bytes]).toEqual([0x4b, 0xb4, 0xff, 255])
})

it('gives the colour bar both ends of the map', () => {
  const gradient = cssGradient('sequential', 'to top')
  const css = (rgb: Rgb) => `rgb(${rgb.map((channel) => Math.round(channel * 255)).join(' ')})`
  expect(gradient.startsWith(`linear-gradient(to top, ${css(TABLES.sequential[0]!)}`)).toBe(true)
  expect(gradient.endsWith(`${css(TABLES.sequential[255]!)})`)).toBe(true)
})
