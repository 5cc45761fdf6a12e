/** `stack.json`: what the embedded stack chose once and keeps: its id, its ports, where Postgres lives. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'

const port = z.int().min(1).max(65535)

export const StackFile = z.strictObject({
  version: z.literal(1),
  /** Random; marks what belongs to this stack. */
  id: z.string(),
  ports: z.strictObject({
    api: port,
    postgres: port,
    valkey: port,
    s3: port,
    s3_grpc: port,
    master: port,
    master_grpc: port,
    volume: port,
    volume_grpc: port,
    filer: port,
    filer_grpc: port,
  }),
  /**
   * Set where the stack was first started as root: PostgreSQL refuses root and runs as this ordinary user. `outside` is a
   * folder outside the checkout, used where that user cannot reach the state directory.
   */
  postgres_account: z
    .strictObject({ user: z.string(), uid: z.int(), gid: z.int(), outside: z.string().nullable() })
    .nullable(),
})
export type StackFile = z.infer<typeof StackFile>
export type PortName = keyof StackFile['ports']
export const portNames = Object.keys(StackFile.shape.ports.shape) as PortName[]

export const stackFilePath = (stateDir: string): string => join(stateDir, 'stack.json')

/** @returns undefined where no stack was ever started. @throws Error where the file is damaged. */
export function readStackFile(stateDir: string): StackFile | undefined {
  const path = stackFilePath(stateDir)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    return StackFile.parse(JSON.parse(text))
  } catch (error) {
    const detail = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message
    throw new Error(`${path} is damaged: ${detail}`)
  }
}
