import { type EvaluationView, GENEVAL_TASKS } from '@limbeck/contracts'
import type { Sheet } from '../samples/sheet.ts'

/** What a picture was asked for; `prompt` tells prompts apart within a tag. */
export interface Question {
  tag: string
  heldOut: boolean
  prompt: string
}

/** Tags with combinations that no training sample held (limbeck.data.shapes.prompts). */
const HELD_OUT_TAGS = ['colors', 'position', 'color_attr']

export const questionsOfSheet = ({ tiles }: Sheet): Question[] =>
  tiles.map(({ tag, held_out, prompt }) => ({ tag, heldOut: held_out, prompt }))

/**
 * Questions by the protocol alone, in its order: the trained combinations tag by tag, then the held-out ones. Equal
 * prompts cannot be told there, so each place counts as a prompt of its own, which makes intervals too narrow.
 */
export function questionsOfProtocol(protocol: EvaluationView['protocol']): Question[] {
  const block = (tag: string, prompts: number, heldOut: boolean): Question[] =>
    Array.from({ length: prompts * protocol.images_per_prompt }, (_, place) => ({
      tag,
      heldOut,
      prompt: String(Math.floor(place / protocol.images_per_prompt)),
    }))
  return [
    ...GENEVAL_TASKS.flatMap((tag) => block(tag, protocol.prompts_per_tag, false)),
    ...HELD_OUT_TAGS.flatMap((tag) => block(tag, protocol.held_out_per_tag, true)),
  ]
}
