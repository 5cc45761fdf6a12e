import type { LoadedSheet } from './queries.ts'
import classes from './samples.module.css'
import { tileStyle } from './sheet.ts'

/** One picture cut out of its sheet; `width` in CSS pixels. Without a label it is decoration beside its text. */
export function TilePicture({
  loaded,
  place,
  width,
  label,
}: {
  loaded: LoadedSheet
  place: number
  width: number
  label?: string | undefined
}) {
  const { imageRendering, ...style } = tileStyle(loaded.sheet, place, width)
  const image = loaded.url === null ? {} : { backgroundImage: `url("${loaded.url}")`, imageRendering }
  return (
    <span
      className={classes.picture}
      style={{ ...style, ...image }}
      {...(label === undefined ? { 'aria-hidden': true } : { role: 'img', 'aria-label': label })}
    >
      {loaded.url === null ? 'no picture' : null}
    </span>
  )
}
