import { z } from 'zod'
import { SamplesSearch } from '../samples/search.ts'

export const RUN_TABS = ['overview', 'loss-scale', 'curves', 'ladd', 'samples', 'logs'] as const
export type RunTab = (typeof RUN_TABS)[number]

/** What of a run's page lives in its URL. Anything that does not fit is left out, never an error. */
export const RunSearch = SamplesSearch.extend({
  tab: z.enum(RUN_TABS).optional().catch(undefined),
  stage: z.string().optional().catch(undefined),
  /** The statistic of the heat map. */
  stat: z.string().optional().catch(undefined),
  /** The run that the heat map is compared with. */
  against: z.string().optional().catch(undefined),
  /** The picked cell. */
  step: z.number().int().optional().catch(undefined),
  bin: z.number().int().optional().catch(undefined),
  /** "from-to", steps in view. */
  steps: z.string().optional().catch(undefined),
  colour: z.enum(['logarithmic', 'linear', 'symlog']).optional().catch(undefined),
  /** Series of the curves, joined by commas. */
  series: z.string().optional().catch(undefined),
  scale: z.enum(['linear', 'log2', 'log10', 'symlog']).optional().catch(undefined),
  axis: z.enum(['step', 'images']).optional().catch(undefined),
  /** Half-life in steps. */
  smooth: z.number().min(0).optional().catch(undefined),
})
export type RunSearch = z.infer<typeof RunSearch>

export interface PageState {
  search: RunSearch
  onSearch: (change: Partial<RunSearch>) => void
}
