import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

interface Violation {
  id: string
  impact: string | null
  nodes: { html: string; failureSummary?: string }[]
}

/** What axe-core finds on the page as it stands, a line each: WCAG 2.1 A and AA. */
export async function violations(page: Page): Promise<string[]> {
  // The page's content policy forbids what axe would be loaded by; the evaluation of the test does not ask it.
  await page.evaluate(axe)
  // A text, since this file's types are those of Node.
  const run = `axe.run(document, { runOnly: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] } })`
  const { violations: found } = await page.evaluate<{ violations: Violation[] }>(run)
  return found.flatMap(({ id, impact, nodes }) =>
    nodes.map(
      ({ html, failureSummary }) => `${id} (${impact}): ${html.slice(0, 160)} ${failureSummary ?? ''}`,
    ),
  )
}
