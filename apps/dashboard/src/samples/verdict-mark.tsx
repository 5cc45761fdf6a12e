import classes from './samples.module.css'

/** The verdict as a sign; the colour only repeats it. */
export function VerdictMark({ correct }: { correct: boolean }) {
  return (
    <span className={classes.mark} data-correct={correct} aria-hidden="true">
      {correct ? '✓' : '✗'}
    </span>
  )
}
