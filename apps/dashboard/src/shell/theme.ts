import { type CSSVariablesResolver, createTheme, type MantineColorsTuple } from '@mantine/core'

export const theme = createTheme({
  // Two shades darker than Mantine's own: white on it, and it on white, have a contrast above 4.5.
  primaryShade: { light: 8, dark: 8 },
  components: {
    TableScrollContainer: {
      // A region that scrolls is reached by keyboard.
      defaultProps: {
        scrollAreaProps: { viewportProps: { tabIndex: 0, role: 'region', 'aria-label': 'Table' } },
      },
    },
  },
})

/** Texts in Mantine's shades of its colours miss the contrast of WCAG AA (4.5); these have it on both grounds. */
export const cssVariables: CSSVariablesResolver = ({ colors }) => ({
  variables: {},
  light: {
    '--mantine-color-dimmed': colors.gray[7],
    '--mantine-color-placeholder': colors.gray[7],
    '--mantine-color-anchor': colors.blue[8],
    '--mantine-color-error': colors.red[9],
    ...shades(colors, 9, ['text', 'light-color']),
    // These are too light even in their darkest shade.
    '--mantine-color-teal-light-color': '#06664a',
    '--mantine-color-orange-text': '#8f3d00',
    '--mantine-color-orange-light-color': '#8f3d00',
    '--mantine-color-yellow-light-color': '#714600',
  },
  dark: {
    '--mantine-color-dimmed': colors.dark[1],
    '--mantine-color-placeholder': colors.dark[1],
    '--mantine-color-anchor': colors.blue[3],
    '--mantine-color-error': colors.red[4],
    ...shades(colors, 3, ['text', 'light-color']),
  },
})

function shades(
  colors: Readonly<Record<string, MantineColorsTuple>>,
  shade: number,
  uses: readonly string[],
): Record<string, string> {
  const named = Object.entries(colors).filter(([name]) => name !== 'dark')
  return Object.fromEntries(
    named.flatMap(([name, tuple]) =>
      uses.map((use) => [`--mantine-color-${name}-${use}`, tuple[shade] ?? '']),
    ),
  )
}
