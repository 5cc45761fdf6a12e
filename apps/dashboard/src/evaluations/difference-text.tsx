import classes from './evaluations.module.css'
import { intervalText, signedText } from './numbers.ts'
import { type Difference, standing } from './paired.ts'

const WORDS = {
  better: 'better: the interval is above 0',
  worse: 'worse: the interval is below 0',
  'not told apart': 'not told apart: the interval holds 0',
} as const

/** A paired difference with its interval, what it says, and the pictures behind it. */
export function DifferenceText({ difference }: { difference: Difference }) {
  return (
    <>
      <div className={`${classes.figure} ${classes.value}`}>
        {signedText(difference.value)}{' '}
        <span className={`${classes.note} ${classes.plain}`}>
          ({intervalText(difference.interval, signedText)})
        </span>
      </div>
      <div className={classes.note}>{WORDS[standing(difference)]}</div>
      <div className={classes.note}>
        of {difference.images} pictures {difference.gained} only here, {difference.lost} only there
      </div>
    </>
  )
}
