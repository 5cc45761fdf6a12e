import { Tooltip, VisuallyHidden } from '@mantine/core'
import { memo } from 'react'
import { formatWhole } from '../curves/format-number.ts'
import classes from './heat-map.module.css'
import {
  clusterKind,
  clusterMarks,
  MARK_LABEL,
  type MarkCluster,
  markText,
  type PlacedMark,
} from './marks.ts'
import type { HeatMark, MarkKind } from './types.ts'
import type { Domain } from './view.ts'

/** CSS pixels of a button: what a finger still hits. */
const BUTTON = 24
/** Lines of a tooltip. */
const MOST_IN_TOOLTIP = 6
/** Events read out before the rest is only counted. */
const MOST_IN_LIST = 50

/** Shapes, not only colours; in a box of 12 by 12. */
const SHAPE: Record<MarkKind, { points: string; hollow: boolean }> = {
  non_finite: { points: '6,1 11.5,11 0.5,11', hollow: false },
  rollback: { points: '1,6 11,0.5 11,11.5', hollow: false },
  clamp: { points: '6,2 10.5,10 1.5,10', hollow: true },
  teacher_worse: { points: '6,10 10.5,2 1.5,2', hollow: true },
}

export function MarkGlyph({ kind }: { kind: MarkKind }) {
  const { points, hollow } = SHAPE[kind]
  return (
    <svg width="12" height="12" aria-hidden="true" className={classes.glyph} data-kind={kind}>
      <polygon points={points} fill={hollow ? 'none' : 'currentColor'} stroke="currentColor" />
    </svg>
  )
}

/** Events under the step axis. Keyboards go from one to the next with n in the map: there can be a hundred. */
export const MarkTrack = memo(function MarkTrack({
  placed,
  domain,
  width,
  onGo,
}: {
  placed: readonly PlacedMark[]
  domain: Domain
  /** CSS pixels of the plot. */
  width: number
  onGo: (mark: HeatMark) => void
}) {
  const clusters = clusterMarks(
    placed,
    (step) => {
      const share = (step - domain.from) / (domain.to - domain.from)
      return share < 0 || share > 1 ? null : share * width
    },
    BUTTON,
  )
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms
    <div className={classes.marks} role="group" aria-label="Events">
      {clusters.map((cluster) => {
        const label = clusterLabel(cluster)
        return (
          <Tooltip
            key={`${cluster.marks[0].step} ${cluster.marks[0].kind}`}
            label={label}
            multiline
            maw={360}
            style={{ whiteSpace: 'pre-line' }}
          >
            <button
              type="button"
              tabIndex={-1}
              className={classes.mark}
              style={{ left: cluster.left }}
              aria-label={`Go to ${label}`}
              onClick={() => onGo(cluster.marks[0])}
            >
              <MarkGlyph kind={clusterKind(cluster)} />
            </button>
          </Tooltip>
        )
      })}
    </div>
  )
})

const clusterLabel = ({ marks }: MarkCluster): string =>
  [
    ...marks.slice(0, MOST_IN_TOOLTIP).map(markText),
    ...(marks.length > MOST_IN_TOOLTIP ? [`${formatWhole(marks.length - MOST_IN_TOOLTIP)} more`] : []),
  ].join('\n')

/** The same for those who do not see the triangles. */
export const MarkList = memo(function MarkList({ placed }: { placed: readonly PlacedMark[] }) {
  if (placed.length === 0) return null
  return (
    <VisuallyHidden>
      <ul aria-label="Events">
        {placed.slice(0, MOST_IN_LIST).map(({ mark }) => (
          <li key={`${mark.step} ${mark.kind} ${mark.bin} ${mark.text}`}>
            {markText(mark)}
            {mark.bin === undefined ? '' : `, bin ${mark.bin}`}
          </li>
        ))}
        {placed.length > MOST_IN_LIST && <li>{formatWhole(placed.length - MOST_IN_LIST)} more</li>}
      </ul>
    </VisuallyHidden>
  )
})

/** What each shape means; only those that occur. */
export function MarkLegend({ placed }: { placed: readonly PlacedMark[] }) {
  const kinds = (Object.keys(SHAPE) as MarkKind[]).flatMap((kind) => {
    const count = placed.filter(({ mark }) => mark.kind === kind).length
    return count === 0 ? [] : [{ kind, count }]
  })
  return kinds.map(({ kind, count }) => (
    <span key={kind} className={classes.entry}>
      <MarkGlyph kind={kind} />
      {MARK_LABEL[kind]} ({formatWhole(count)})
    </span>
  ))
}
