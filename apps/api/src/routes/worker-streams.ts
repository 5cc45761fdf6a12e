import { LogBatch, MetricBatch, MetricReceipt, StageId } from '@limbeck/contracts'
import { appendLogs, ingestMetrics } from '@limbeck/store'
import { z } from 'zod'
import { holderOf } from '../attempt-holder.ts'
import { identityOf } from '../auth.ts'
import { type ApiContext, type App, settled } from '../context.ts'
import { route } from '../route.ts'

const tags = ['worker']
const params = z.strictObject({ stage: StageId })
/** An agent reads 256 KiB of its spool a batch; a single longer line goes alone. */
const BATCH_BYTES = 6 * 1024 ** 2

const LogReceipt = z.strictObject({ accepted: z.int(), duplicate: z.boolean() }).meta({ id: 'LogReceipt' })

export function workerStreamRoutes(app: App, context: ApiContext): void {
  const { store, metrics } = context

  app.post(
    '/v1/worker/stages/:stage/metrics',
    route(
      context,
      'worker',
      {
        tags,
        summary:
          'A batch of points; taken for a day after the attempt ended, the same batch again is answered alike',
        params,
        body: MetricBatch,
        response: { 200: MetricReceipt },
      },
      { bodyLimit: BATCH_BYTES },
    ),
    async (request) => {
      const { stage } = request.params
      const worker = await holderOf(context, identityOf(request).project, stage, request.body.epoch)
      const receipt = settled(await ingestMetrics(store, worker, stage, request.body))
      if (!receipt.duplicate) metrics.points.inc(receipt.accepted)
      return receipt
    },
  )

  app.post(
    '/v1/worker/stages/:stage/logs',
    route(
      context,
      'worker',
      {
        tags,
        summary: 'A batch of log lines, by the same rules',
        params,
        body: LogBatch,
        response: { 200: LogReceipt },
      },
      { bodyLimit: BATCH_BYTES },
    ),
    async (request) => {
      const { stage } = request.params
      const worker = await holderOf(context, identityOf(request).project, stage, request.body.epoch)
      return settled(await appendLogs(store, worker, stage, request.body))
    },
  )
}
