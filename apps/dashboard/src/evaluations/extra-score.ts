import type { EvaluationView } from '@limbeck/contracts'
import { type Interval, intervalText, scoreText } from './numbers.ts'

export type ExtraScore = EvaluationView['extra'][number]

/** Which way is better, and whether it is a distance between sets, which has no interval over prompts. */
const MEANINGS: Readonly<Record<ExtraScore['scorer'], { label: string; better: 'higher' | 'lower' }>> = {
  'clip-score': { label: 'CLIP score', better: 'higher' },
  'image-reward': { label: 'ImageReward', better: 'higher' },
  frechet: { label: 'Fréchet distance', better: 'lower' },
  kid: { label: 'KID', better: 'lower' },
}

export const scorerLabel = (scorer: ExtraScore['scorer']): string => MEANINGS[scorer].label
export const scorerBetter = (scorer: ExtraScore['scorer']): string => `${MEANINGS[scorer].better} is better`

/** "0.3123 (0.3011 to 0.3230)", or "not run: reason": never an empty field, never 0. */
export function extraText({ value, interval, not_run }: ExtraScore): string {
  if (value === null) return `not run: ${not_run ?? 'no reason was given'}`
  return interval === null
    ? scoreText(value)
    : `${scoreText(value)} (${intervalText(interval as Interval, scoreText)})`
}
