import { type Interval, placeOn } from './numbers.ts'
import type { ScorePoint } from './score-points.ts'

/** The plot's own units: its view box is stretched to the width it has. */
export interface Frame {
  left: number
  right: number
  top: number
  bottom: number
}

export const xOn = (x: number, axis: Interval, { left, right }: Frame): number =>
  left + placeOn(x, axis) * (right - left)
export const yOn = (y: number, axis: Interval, { top, bottom }: Frame): number =>
  bottom - placeOn(y, axis) * (bottom - top)

/** Signs of roles, so that they are told apart without colour; pixels around a centre. */
const SIGNS = [
  'm-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0',
  'm-4 -4h8v8h-8z',
  'm0 -5l5 9h-10z',
  'm0 -5l5 5l-5 5l-5 -5z',
  'm0 5l5 -9h-10z',
] as const

export const signPath = (sign: number): string => SIGNS[sign % SIGNS.length] ?? SIGNS[0]

const place = (value: number): string => value.toFixed(1)

/** All of a role in three paths, however many points: the number of SVG nodes does not grow with the data. */
export function rolePaths(
  points: readonly ScorePoint[],
  x: (value: number) => number,
  y: (value: number) => number,
  sign: number,
): { line: string; intervals: string; signs: string } {
  const shape = signPath(sign)
  return {
    line: points
      .map((point, n) => `${n === 0 ? 'M' : 'L'}${place(x(point.x))} ${place(y(point.value))}`)
      .join(''),
    intervals: points
      .flatMap((point) =>
        point.interval === null
          ? []
          : [`M${place(x(point.x))} ${place(y(point.interval[0]))}V${place(y(point.interval[1]))}`],
      )
      .join(''),
    signs: points.map((point) => `M${place(x(point.x))} ${place(y(point.value))}${shape}`).join(''),
  }
}
