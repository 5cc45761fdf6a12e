import type { ClaimRequest, Lease } from '@limbeck/contracts'
import { claimStage } from '@limbeck/store'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { identityOf } from './auth.ts'
import { type ApiContext, settled } from './context.ts'
import { goneSignal } from './gone-signal.ts'
import { workerClasses } from './known-workers.ts'
import { notFound } from './problem.ts'

type Request = FastifyRequest<{ Body: z.infer<typeof ClaimRequest> }>

/**
 * The long poll. It listens for the class's doorbell before it asks Postgres, so that a stage queued in between is not
 * missed, and asks again at each ring and every two seconds.
 */
export async function claim(
  context: ApiContext,
  request: Request,
  reply: FastifyReply,
): Promise<Lease | null> {
  const { store, doorbells, protocol, metrics, stopping } = context
  const { project } = identityOf(request)
  const { worker, claim: id, wait_seconds } = request.body
  const classes = await workerClasses(context, project, worker)
  if (classes === null) throw notFound('worker', worker)
  const signal = AbortSignal.any([goneSignal(reply), stopping])
  const hold = Math.min(wait_seconds, protocol.claim_wait_seconds) * 1000
  const deadline = performance.now() + hold
  const listener = doorbells.listen(classes)
  metrics.waiting.inc()
  try {
    for (;;) {
      const lease = settled(await claimStage(store, { project, worker, claim: id }))
      const left = deadline - performance.now()
      if (lease !== null || left <= 0 || signal.aborted || doorbells.crowded) {
        metrics.claims.inc({ result: lease === null ? 'nothing' : 'lease' })
        return lease
      }
      await listener.wait(Math.min(left, protocol.claim_poll_seconds * 1000), signal)
      // Nobody would hear of a lease that is taken now: it would only run out.
      if (signal.aborted) return null
    }
  } finally {
    metrics.waiting.dec()
    listener.close()
  }
}
