import type { Digest, StageKind, StageSpec } from '@limbeck/contracts'
import { digestOf } from './canonical-json.ts'

/**
 * What a stage's output depends on, and nothing else. Inputs count by content: a data set that was
 * uploaded twice is the same data set. Code and numeric environment are the worker's, pinned at
 * the first claim: another torch build or thread count gives other bits.
 */
export interface CacheIdentity {
  project: string
  kind: StageKind
  code_digest: Digest
  environment: { torch: string; device: string; threads: number; python: string }
  /** Complete after defaults. */
  spec: StageSpec
  /** Digest of each input tree by input name. */
  inputs: Record<string, Digest>
  salt: string
}

export const cacheKey = (identity: CacheIdentity): Digest => digestOf(identity)
