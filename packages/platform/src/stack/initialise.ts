/** The stack's first start: ports and account chosen once, room on the disk checked at every start. */
import { randomBytes } from 'node:crypto'
import { rmSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { writeFileAtomic } from '../files.ts'
import { checkPostgresAccount, choosePostgresAccount, removeOutsideFolder } from './account.ts'
import { postgresInstallation } from './binaries.ts'
import { StackError } from './errors.ts'
import { chooseFreePorts } from './ports.ts'
import { type PortName, portNames, readStackFile, type StackFile, stackFilePath } from './stack-file.ts'

/** Below this the servers come up and fail at the first larger write; better to say so at once. */
export const minFreeBytes = 512 * 1024 ** 2

/** @throws StackError disk_full */
export function checkFreeSpace(folder: string, needed = minFreeBytes): void {
  const { bavail, bsize } = statfsSync(folder)
  const free = bavail * bsize
  if (free < needed)
    throw new StackError(
      'disk_full',
      `disk full: ${folder} has ${Math.floor(free / 1024 ** 2)} MiB free; the stack needs ${needed / 1024 ** 2} MiB`,
    )
}

/** Reads `stack.json`, or makes it. The caller holds the supervisor's lock. */
export async function initialiseStack(
  stateDir: string,
  options: { python: string; newPorts?: boolean },
): Promise<StackFile> {
  checkFreeSpace(stateDir)
  const existing = readStackFile(stateDir)
  if (existing !== undefined) checkPostgresAccount(stateDir, existing.postgres_account)
  if (existing !== undefined && options.newPorts !== true) return existing
  const free = await chooseFreePorts(portNames.length)
  const ports = Object.fromEntries(portNames.map((name, index) => [name, free[index]])) as Record<
    PortName,
    number
  >
  const stack: StackFile =
    existing !== undefined
      ? { ...existing, ports }
      : {
          version: 1,
          id: randomBytes(4).toString('hex'),
          ports,
          postgres_account: choosePostgresAccount(
            stateDir,
            join(postgresInstallation(options.python).folder, 'bin'),
          ),
        }
  writeFileAtomic(stackFilePath(stateDir), `${JSON.stringify(stack, null, 2)}\n`)
  return stack
}

/** Removes everything that the stack made, the folder outside the checkout included. It must be down. */
export function eraseStack(stateDir: string): void {
  const outside = readStackFile(stateDir)?.postgres_account?.outside
  if (outside != null) removeOutsideFolder(outside, stateDir)
  for (const name of ['data', 'logs', 'run', 'secrets', 'stack.json'])
    rmSync(join(stateDir, name), { recursive: true, force: true })
}
