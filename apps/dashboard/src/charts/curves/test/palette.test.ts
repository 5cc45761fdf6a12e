import { describe, expect, it } from 'vitest'
import { COLOURS, createPalette, type Scheme } from '../palette.ts'

type Triple = [number, number, number]

const linear = (colour: string): Triple =>
  [1, 3, 5].map((at) => {
    const value = Number.parseInt(colour.slice(at, at + 2), 16) / 255
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
  }) as Triple

const luminance = ([r, g, b]: Triple) => 0.2126 * r + 0.7152 * g + 0.0722 * b

function contrast(a: string, b: string): number {
  const [low, high] = [luminance(linear(a)), luminance(linear(b))].sort((x, y) => x - y) as [number, number]
  return (high + 0.05) / (low + 0.05)
}

/** Machado, Oliveira and Fernandes 2009, table 1, severity 1. */
const DEFICIENCIES: Record<string, Triple[]> = {
  none: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protanomaly: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranomaly: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanomaly: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
}

/** CIELAB (D65) of a colour as seen with a deficiency. */
function seen(colour: string, matrix: Triple[]): Triple {
  const rgb = linear(colour)
  const [r, g, b] = matrix.map((row) =>
    Math.min(
      1,
      Math.max(
        0,
        row.reduce((sum, factor, at) => sum + factor * (rgb[at] ?? 0), 0),
      ),
    ),
  ) as Triple
  const root = (t: number) => (t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116)
  const x = root((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505)
  const y = root(luminance([r, g, b]))
  const z = root((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089)
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)]
}

describe.each([
  ['light', '#ffffff', 20],
  ['dark', '#242424', 30],
] as const)('%s colours', (scheme: Scheme, background, apart) => {
  it('stand out from the background, 3:1', () => {
    for (const colour of COLOURS[scheme]) expect(contrast(colour, background)).toBeGreaterThanOrEqual(3)
  })

  it.each(Object.keys(DEFICIENCIES))('are told apart: %s', (kind) => {
    const places = COLOURS[scheme].map((colour) => seen(colour, DEFICIENCIES[kind] ?? []))
    for (const [index, a] of places.entries()) {
      for (const b of places.slice(index + 1)) {
        expect(Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2])).toBeGreaterThanOrEqual(apart)
      }
    }
  })
})

describe('styles', () => {
  it('stay with their key, in both schemes, and differ between up to 32 keys', () => {
    const palette = createPalette()
    const keys = Array.from({ length: 32 }, (_, index) => `run-${index}`)
    const first = keys.map((key) => palette.style(key, 'light'))
    expect(keys.reverse().map((key) => palette.style(key, 'light'))).toEqual(first.reverse())
    expect(new Set(first.map(({ colour, dash }) => `${colour} ${dash}`)).size).toBe(32)
    expect(palette.style('run-0', 'dark').dash).toEqual(palette.style('run-0', 'light').dash)
  })

  it('are plain for the first eight', () => {
    const palette = createPalette()
    const styles = Array.from({ length: 8 }, (_, index) => palette.style(`loss/${index}`, 'dark'))
    expect(styles.every(({ dash }) => dash.length === 0)).toBe(true)
    expect(new Set(styles.map(({ colour }) => colour)).size).toBe(8)
  })

  it('are the same in two sessions where no two keys want one colour', () => {
    expect(createPalette().style('loss/task', 'light')).toEqual(createPalette().style('loss/task', 'light'))
  })

  it('still answer beyond 32 keys', () => {
    const palette = createPalette()
    for (let index = 0; index < 100; index++) expect(palette.style(`${index}`, 'light').colour).toMatch(/^#/)
  })
})
