import type { HeartbeatRequest, HeartbeatResponse, StageId } from '@limbeck/contracts'
import { heartbeat, peekHeartbeat } from '@limbeck/store'
import type { FastifyReply } from 'fastify'
import type { z } from 'zod'
import { type ApiContext, settled } from './context.ts'
import { goneSignal } from './gone-signal.ts'

type Answer = z.infer<typeof HeartbeatResponse>

/**
 * Renews the lease at once, then holds the answer: a cancel that is asked for meanwhile is told within a second, or at
 * once where this replica took it.
 */
export async function holdHeartbeat(
  { store, held, protocol, stopping }: ApiContext,
  stage: StageId,
  { worker, epoch, hold_seconds, progress }: z.infer<typeof HeartbeatRequest>,
  reply: FastifyReply,
): Promise<Answer> {
  const fence = { worker, stage, epoch }
  const signal = AbortSignal.any([goneSignal(reply), stopping])
  const deadline = performance.now() + Math.min(hold_seconds, protocol.heartbeat_hold_seconds) * 1000
  let answer: Answer = settled(await heartbeat(store, fence, progress))
  while (answer.action === 'continue' && !signal.aborted) {
    const left = deadline - performance.now()
    if (left <= 0) break
    await held.wait(stage, Math.min(left, protocol.heartbeat_poll_seconds * 1000), signal)
    if (signal.aborted) break
    answer = { ...answer, ...settled(await peekHeartbeat(store, fence)) }
  }
  return answer
}
