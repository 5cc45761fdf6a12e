import type { RunRow, StageRow } from './rows.ts'
import { lockRun, lockStage } from './sql/runs.ts'
import type { Store } from './store.ts'
import { type Queryable, transaction } from './transaction.ts'

/** Runs `body` with run and stage locked, in that order; `absent` where there is no such stage. */
export async function withLockedStage<T>(
  store: Store,
  stageId: string,
  absent: T,
  body: (tx: Queryable, stage: StageRow, run: RunRow) => Promise<T>,
): Promise<T> {
  return transaction(store, async (tx) => {
    const found = await tx.query<{ run_id: string }>('SELECT run_id FROM stage WHERE id = $1', [stageId])
    const runId = found.rows[0]?.run_id
    if (runId === undefined) return absent
    const run = await lockRun(tx, runId)
    const stage = await lockStage(tx, stageId)
    return run === null || stage === null ? absent : body(tx, stage, run)
  })
}
