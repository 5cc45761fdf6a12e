/** OKLab (Ottosson 2020): equal distances look about equally different. L 0 black to 1 white; a, b within ±0.4. */
export type Lab = readonly [L: number, a: number, b: number]
/** Gamma-encoded sRGB, 0 to 1. */
export type Rgb = readonly [red: number, green: number, blue: number]

type Matrix = readonly [Lab, Lab, Lab]

const LAB_TO_CONES: Matrix = [
  [1, 0.3963377774, 0.2158037573],
  [1, -0.1055613458, -0.0638541728],
  [1, -0.0894841775, -1.291485548],
]
const CONES_TO_LINEAR: Matrix = [
  [4.0767416621, -3.3077115913, 0.2309699292],
  [-1.2684380046, 2.6097574011, -0.3413193965],
  [-0.0041960863, -0.7034186147, 1.707614701],
]
const LINEAR_TO_CONES: Matrix = [
  [0.4122214708, 0.5363325363, 0.0514459929],
  [0.2119034982, 0.6806995451, 0.1073969566],
  [0.0883024619, 0.2817188376, 0.6299787005],
]
const CONES_TO_LAB: Matrix = [
  [0.2104542553, 0.793617785, -0.0040720468],
  [1.9779984951, -2.428592205, 0.4505937099],
  [0.0259040371, 0.7827717662, -0.808675766],
]

export const times = (matrix: Matrix, [x, y, z]: Lab): Lab =>
  matrix.map(([a, b, c]) => a * x + b * y + c * z) as unknown as Lab

const each = (triple: Lab, change: (value: number) => number): Lab =>
  [change(triple[0]), change(triple[1]), change(triple[2])] as const

export const toLinear = (rgb: Rgb): Lab =>
  each(rgb, (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))

const fromLinear = (linear: Lab): Rgb =>
  each(linear, (value) => (value <= 0.0031308 ? value * 12.92 : 1.055 * value ** (1 / 2.4) - 0.055))

export const linearToLab = (linear: Lab): Lab =>
  times(CONES_TO_LAB, each(times(LINEAR_TO_CONES, linear), Math.cbrt))

/** Outside 0 to 1 where the screen cannot show the colour. */
export const labToRgb = (lab: Lab): Rgb =>
  fromLinear(
    times(
      CONES_TO_LINEAR,
      each(times(LAB_TO_CONES, lab), (value) => value ** 3),
    ),
  )

export const rgbToLab = (rgb: Rgb): Lab => linearToLab(toLinear(rgb))

/** @param hue in degrees: 30 red, 90 yellow, 145 green, 235 blue, 300 violet */
export const polar = (lightness: number, chroma: number, hue: number): Lab => [
  lightness,
  chroma * Math.cos((hue * Math.PI) / 180),
  chroma * Math.sin((hue * Math.PI) / 180),
]

/** Below 0.02 two colours side by side look alike; 0.1 is told apart at a glance. */
export const distance = (a: Lab, b: Lab): number => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2])
