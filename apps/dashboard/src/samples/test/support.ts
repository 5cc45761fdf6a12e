import type { Sheet, SheetTile } from '../sheet.ts'

export const tile = (part: Partial<SheetTile> = {}): SheetTile => ({
  id: 'trained/colors/0000',
  prompt: 'a red circle',
  tag: 'colors',
  held_out: false,
  repeat: 0,
  correct: true,
  reason: '',
  ...part,
})

export const sheet = (tiles: SheetTile[], columns = 20): Sheet => ({ tile: [64, 64], columns, tiles })
