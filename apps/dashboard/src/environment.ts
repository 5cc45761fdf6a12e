/**
 * Imported first: what the page's libraries take for granted about the browser.
 */
import { z } from 'zod'

// The server's content policy forbids eval; without this zod tries it and the console shows a violation.
z.config({ jitless: true })

// A Chromium under LANG=C calls its language "en-US@posix", which Intl refuses, and uPlot asks Intl at import.
try {
  new Intl.NumberFormat(navigator.language)
} catch {
  Object.defineProperty(navigator, 'language', { value: 'en-US', configurable: true })
}
