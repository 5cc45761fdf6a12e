import type { Scheme } from './palette.ts'

/** What a canvas draws with; read anew whenever the scheme changes, since a canvas keeps the colours it was given. */
export interface ChartTheme {
  scheme: Scheme
  background: string
  /** Text and marks: at least 4.5:1 against the background. Mantine's "dimmed" is not. */
  ink: string
  grid: string
  /** Marks of kind "warning". */
  warning: string
  font: string
}

export function readTheme(element: Element, scheme: Scheme): ChartTheme {
  const style = getComputedStyle(element)
  const token = (name: string) => style.getPropertyValue(`--mantine-color-${name}`).trim()
  const dark = scheme === 'dark'
  return {
    scheme,
    background: token('body'),
    ink: token(dark ? 'dark-1' : 'gray-7'),
    grid: token(dark ? 'dark-5' : 'gray-2'),
    warning: token(dark ? 'red-4' : 'red-8'),
    font: '11px system-ui, sans-serif',
  }
}

/** A colour #rrggbb with an opacity, 0 to 1. */
export const faded = (colour: string, opacity: number): string =>
  `${colour}${Math.round(opacity * 255)
    .toString(16)
    .padStart(2, '0')}`
