import { Title } from '@mantine/core'
import { memo } from 'react'
import type { LoadedSheet } from '../samples/queries.ts'
import { type SheetTile, wholeEdge } from '../samples/sheet.ts'
import { TilePicture } from '../samples/tile-picture.tsx'
import { VerdictMark } from '../samples/verdict-mark.tsx'
import classes from './evaluations.module.css'
import type { TaskTiles } from './failing.ts'

/** CSS pixels a picture may take. */
const ROOM = 144

/** The pictures of one task under its heading. */
export function TaskTilesList({ task, loaded }: { task: TaskTiles; loaded: LoadedSheet }) {
  const title = `${task.tag}${task.heldOut ? ', held out' : ''}: ${task.failed} of ${task.images} failed`
  return (
    <section aria-label={title}>
      <Title order={5} size="h6" mb={6}>
        {title}
      </Title>
      <ul className={classes.tiles}>
        {task.tiles.map(({ place, tile }) => (
          <Tile key={place} loaded={loaded} place={place} tile={tile} />
        ))}
      </ul>
    </section>
  )
}

/** Its text says all that the picture's label would, so the picture itself has none. */
const Tile = memo(function Tile({
  loaded,
  place,
  tile,
}: {
  loaded: LoadedSheet
  place: number
  tile: SheetTile
}) {
  return (
    <li className={classes.tile}>
      <TilePicture loaded={loaded} place={place} width={wholeEdge(loaded.sheet.tile[0], ROOM)} />
      <span>
        <VerdictMark correct={tile.correct} /> “{tile.prompt}”
      </span>
      <span className={`${classes.reason} ${tile.correct ? classes.note : classes.problem}`}>
        {tile.correct ? 'correct' : tile.reason || 'wrong; the scorer gave no reason'}
      </span>
      <span className={classes.note}>sample {tile.repeat}</span>
    </li>
  )
})
