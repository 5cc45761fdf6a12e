import { Alert, Button, Stack, Text } from '@mantine/core'
import { useViewportSize } from '@mantine/hooks'
import { useEffect } from 'react'
import { type LoadedSheet, useSheet } from '../samples/queries.ts'
import { tileKey, wholeEdge } from '../samples/sheet.ts'
import { TilePicture } from '../samples/tile-picture.tsx'
import classes from './evaluations.module.css'
import { CHOICE_KEYS, type Choice, type Pair } from './voting.ts'

/** CSS pixels: the most that a picture takes, and what the page takes beside two of them. */
const LARGEST = 384
const AROUND = 120

const folderOf = (path: string): string => path.split('/').slice(0, -1).join('/')

/** Two pictures of one prompt. Nothing here says whose they are, or what a scorer thinks of them. */
export function VotePair({
  pair,
  picked,
  onSeen,
  onPress,
}: {
  pair: Pair
  /** While a vote is on its way. */
  picked: Choice | null
  onSeen: () => void
  onPress: (choice: Choice) => void
}) {
  const left = useSheet(pair.left.artifact, folderOf(pair.left.path))
  const right = useSheet(pair.right.artifact, folderOf(pair.right.path))
  const problem = left.error?.message ?? right.error?.message ?? problemOf(pair, left.data, right.data)
  const ready = left.data !== undefined && right.data !== undefined && problem === null

  // biome-ignore lint/correctness/useExhaustiveDependencies: reported once for a pair, however the callback changes
  useEffect(() => {
    if (ready) onSeen()
  }, [ready, pair])

  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const choice = CHOICE_KEYS[event.key]
      const typing =
        event.target instanceof HTMLElement &&
        (event.target.isContentEditable || event.target.closest('input, textarea, select, [role="dialog"]'))
      if (choice === undefined || typing || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey)
        return
      event.preventDefault()
      // A key that is held is one press.
      if (!event.repeat) onPress(choice)
    }
    window.addEventListener('keydown', press)
    return () => window.removeEventListener('keydown', press)
  }, [onPress])

  if (problem !== null)
    return (
      <Alert color="red" title="This pair cannot be shown">
        {problem} Without its pictures it cannot be voted on.
      </Alert>
    )
  const prompt = left.data?.sheet.tiles[pair.left.tile]?.prompt
  return (
    <Stack gap="md" align="center">
      <Text size="xl" fw={600} ta="center" aria-live="polite">
        {prompt === undefined ? 'Loading the pictures' : `“${prompt}”`}
      </Text>
      <div className={classes.pair}>
        <Side name="left" loaded={left.data} place={pair.left.tile} {...{ picked, ready, onPress }} />
        <Side name="right" loaded={right.data} place={pair.right.tile} {...{ picked, ready, onPress }} />
      </div>
      <Button
        variant={picked === 'tie' ? 'light' : 'default'}
        aria-disabled={!ready || picked !== null}
        aria-keyshortcuts="ArrowDown"
        onClick={() => onPress('tie')}
      >
        ↓ Neither is better
      </Button>
    </Stack>
  )
}

function Side({
  name,
  loaded,
  place,
  picked,
  ready,
  onPress,
}: {
  name: 'left' | 'right'
  loaded: LoadedSheet | undefined
  place: number
  picked: Choice | null
  ready: boolean
  onPress: (choice: Choice) => void
}) {
  const { width } = useViewportSize()
  const room = Math.min(LARGEST, Math.max(64, (width - AROUND) / 2))
  const edge = loaded === undefined ? Math.floor(room) : wholeEdge(loaded.sheet.tile[0], room)
  return (
    <button
      type="button"
      className={classes.side}
      // Not `disabled`, which would take the focus away with each vote; presses are ignored in the meantime.
      aria-disabled={!ready || picked !== null}
      aria-keyshortcuts={name === 'left' ? 'ArrowLeft' : 'ArrowRight'}
      data-picked={picked === name}
      onClick={() => onPress(name)}
    >
      {loaded === undefined ? (
        <span style={{ width: edge, height: edge }} />
      ) : (
        <TilePicture loaded={loaded} place={place} width={edge} />
      )}
      <span>{name === 'left' ? '← The left picture' : 'The right picture →'}</span>
    </button>
  )
}

/** Both places must hold the same question, or the vote would compare prompts. */
function problemOf(pair: Pair, left: LoadedSheet | undefined, right: LoadedSheet | undefined): string | null {
  if (left === undefined || right === undefined) return null
  if (left.url === null || right.url === null) return 'A sheet has no picture that can be read.'
  const [one, other] = [left.sheet.tiles[pair.left.tile], right.sheet.tiles[pair.right.tile]]
  if (one === undefined || other === undefined) return 'A sheet has no picture at this place.'
  return one.prompt === other.prompt && tileKey(one) === tileKey(other)
    ? null
    : 'The two sheets ask different prompts at this place.'
}
