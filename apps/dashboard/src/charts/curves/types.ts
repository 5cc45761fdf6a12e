import type { SeriesPoints } from '@limbeck/contracts'
import type { z } from 'zod'

export type Points = z.infer<typeof SeriesPoints>
export type Bucket = Points['buckets'][number]

/** Seconds by step, ascending in step. Between two pairs it is interpolated; outside them nothing is known. */
export type Clock = readonly (readonly [step: number, seconds: number])[]

/** What a step is shown as on the x axis. */
export type XAxis = 'step' | 'images' | 'process' | 'wall'

/** What the x axes other than "step" need to know about a series. */
export interface Placement {
  /** Images a step; without it no point has a place on the axis "images". */
  batchSize?: number | undefined
  /** Seconds that the process had trained for, over all attempts and without the time between them. */
  processTime?: Clock | undefined
  /** Unix time in seconds. */
  wallClock?: Clock | undefined
}

export interface CurveSeries extends Placement {
  /** Identity: a key has the same colour in every chart. */
  key: string
  label: string
  points: Points
}

/** The range in which a reference run moved; steps ascend. Drawn behind everything else. */
export interface ExpectedBand {
  label: string
  range: readonly { step: number; low: number; high: number }[]
}

/** An event of the stage at a step: a scale halved, a step skipped, a rollback. */
export interface ChartMark {
  step: number
  label: string
  /** "warning" is drawn stronger and in another shape, not only in another colour. */
  kind: 'note' | 'warning'
}

export type ChartStatus =
  | { kind: 'ready' }
  | { kind: 'loading' }
  | { kind: 'error'; message: string }
  | { kind: 'partial'; message: string }
