/** What a supervisor writes down so that a successor, or `down`, finds its processes and services. */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { z } from 'zod'
import { writeFileAtomic } from '../files.ts'
import { ServiceSpec } from './service.ts'

const Records = z.strictObject({
  processes: z.record(
    z.string(),
    z.strictObject({
      pid: z.int(),
      started: z.string(),
      /** Of the specification that it was started by: a process of another one is not taken over. */
      spec_digest: z.string(),
      stop_signal: z.enum(['SIGTERM', 'SIGINT']),
      stop_timeout_s: z.number(),
    }),
  ),
  /** Services beyond the servers, in the order of their start. */
  added: z.array(ServiceSpec),
})
export type Records = z.infer<typeof Records>

export const specDigest = (spec: ServiceSpec): string =>
  createHash('sha256').update(JSON.stringify(spec)).digest('hex').slice(0, 16)

export function readRecords(path: string): Records {
  if (!existsSync(path)) return { processes: {}, added: [] }
  const parsed = Records.safeParse(JSON.parse(readFileSync(path, 'utf8')))
  if (!parsed.success) throw new Error(`${path} is damaged: ${z.prettifyError(parsed.error)}`)
  return parsed.data
}

/** 0600: the environment of an added service may hold what its owner does not print. */
export const writeRecords = (path: string, records: Records): void =>
  writeFileAtomic(path, `${JSON.stringify(records, null, 1)}\n`, 0o600)
