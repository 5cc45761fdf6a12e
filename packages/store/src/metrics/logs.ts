import type { LogBatch, LogPage, StageId, WorkerId } from '@limbeck/contracts'
import { ok } from '@limbeck/core'
import type { z } from 'zod'
import { failure, notFound, type StoreResult } from '../failure.ts'
import { insertLogLines, selectLogLines } from '../sql/logs.ts'
import { mayReport, storeReceipt, takeReceipt } from '../sql/metrics.ts'
import { selectStage } from '../sql/runs.ts'
import type { Store } from '../store.ts'
import { transaction } from '../transaction.ts'

/** Appends lines of an attempt, under the rules of metrics. Failure: lease_lost. */
export const appendLogs = (
  store: Store,
  worker: WorkerId,
  stage: StageId,
  batch: z.infer<typeof LogBatch>,
): StoreResult<{ accepted: number; duplicate: boolean }> =>
  transaction<Awaited<StoreResult<{ accepted: number; duplicate: boolean }>>>(store, async (tx) => {
    const { epoch, sequence, lines } = batch
    if (!(await mayReport(tx, { stage, epoch, worker })))
      return failure('lease_lost', `${worker} did not hold attempt ${epoch} of ${stage} within the last day`)
    const receipt = { stage, epoch, kind: 'logs' as const, sequence }
    const stored = await takeReceipt(tx, receipt)
    if (stored !== null) return ok({ accepted: stored.accepted, duplicate: true })
    await insertLogLines(tx, stage, epoch, lines)
    await storeReceipt(tx, { ...receipt, accepted: lines.length, superseded: 0 })
    return ok({ accepted: lines.length, duplicate: false })
  })

/** Lines from a position on, of all attempts in the order they came. Failure: not_found. */
export async function readLogs(
  store: Store,
  project: string,
  stage: string,
  from: number,
  limit: number,
): StoreResult<z.infer<typeof LogPage>> {
  const row = await selectStage(store.pool, stage)
  if (row === null || row.project !== project) return notFound('stage', stage)
  const lines = await selectLogLines(store.pool, stage, from, limit)
  return ok({ stage: row.id, lines, next: (lines.at(-1)?.number ?? from - 1) + 1 })
}
