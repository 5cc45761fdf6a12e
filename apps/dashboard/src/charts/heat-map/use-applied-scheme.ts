import { useSyncExternalStore } from 'react'
import type { Scheme } from '../curves/palette.ts'

/** Where Mantine puts the scheme that its CSS variables follow. */
const ATTRIBUTE = 'data-mantine-color-scheme'

function subscribe(changed: () => void): () => void {
  const observer = new MutationObserver(changed)
  observer.observe(document.documentElement, { attributeFilter: [ATTRIBUTE] })
  return () => observer.disconnect()
}

const read = (): Scheme => (document.documentElement.getAttribute(ATTRIBUTE) === 'dark' ? 'dark' : 'light')

/**
 * The scheme that the CSS variables have now. `useComputedColorScheme` tells of the system's change of scheme before
 * the variables follow it, and a canvas drawn then has the old background with the new ink.
 */
export const useAppliedScheme = (): Scheme => useSyncExternalStore(subscribe, read)
