import { z } from 'zod'

/** What of the samples of a run lives in its URL. What does not fit is left out, never an error. */
export const SamplesSearch = z.object({
  /** Part of the prompt. */
  prompt: z.string().optional().catch(undefined),
  tag: z.string().optional().catch(undefined),
  /** The cell that is enlarged: row and column by key. */
  zoom: z.string().optional().catch(undefined),
})
export type SamplesSearch = z.infer<typeof SamplesSearch>
