import { z } from 'zod'

/** What of the evaluations lives in the URL. What does not fit is left out, never an error. */
export const EvaluationsSearch = z.object({
  /** Only this run's. */
  run: z.string().optional().catch(undefined),
  /** Hash of the one protocol that is shown. */
  protocol: z.string().optional().catch(undefined),
  /** The evaluation whose pictures and verdicts are open. */
  evaluation: z.string().optional().catch(undefined),
  /** What the others of its protocol are compared with. */
  baseline: z.string().optional().catch(undefined),
})
export type EvaluationsSearch = z.infer<typeof EvaluationsSearch>

export const VotingSearch = z.object({
  /** Two to ten evaluations, joined by commas. */
  evaluations: z.string().optional().catch(undefined),
})
export type VotingSearch = z.infer<typeof VotingSearch>
