import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { MeasurementBody, MeasurementView } from '@limbeck/contracts'
import { canonicalJson, ok } from '@limbeck/core'
import { failure, type StoreResult } from '../failure.ts'
import { newId } from '../ids.ts'
import { iso } from '../rows.ts'
import { insertMeasurement, type MeasurementRow, selectMeasurements } from '../sql/measurements.ts'
import type { Store } from '../store.ts'

/**
 * HMAC-SHA256 over the canonical JSON. The key is the SHA-256 of the token, which is what the server keeps: a record can
 * be checked later without the token itself.
 */
export const measurementSignature = (token: string, body: MeasurementBody): string =>
  createHmac('sha256', createHash('sha256').update(token).digest()).update(canonicalJson(body)).digest('hex')

const viewOf = ({ id, token_name, signature, body, created_at }: MeasurementRow): MeasurementView => ({
  ...body,
  id,
  signature,
  kind: 'measured',
  token: token_name,
  created_at: iso(created_at),
})

/** Failure: bad_signature. The same record again is the stored one. */
export async function recordMeasurement(
  store: Store,
  device: { project: string; token_name: string; token: string },
  { signature, ...body }: MeasurementBody & { signature: string },
): StoreResult<MeasurementView> {
  const expected = measurementSignature(device.token, body)
  if (!timingSafeEqual(Buffer.from(signature, 'hex'), Buffer.from(expected, 'hex')))
    return failure(
      'bad_signature',
      "signature is not the HMAC-SHA256 of the record's canonical JSON under the SHA-256 of this token",
    )
  const { project, token_name } = device
  return ok(
    viewOf(await insertMeasurement(store.pool, { id: newId('msr'), project, token_name, signature, body })),
  )
}

/** Newest first. */
export const listMeasurements = async (
  store: Store,
  project: string,
  filter: { program_sha256?: string | undefined; limit: number },
): Promise<MeasurementView[]> =>
  (await selectMeasurements(store.pool, project, filter.program_sha256 ?? null, filter.limit)).map(viewOf)
