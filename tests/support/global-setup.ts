/**
 * Starts the stack that all integration tests of a run share, or finds it running, and hands its address to the
 * test processes. A stack that this run started is stopped at its end; one found is left.
 */
import { join } from 'node:path'
import process from 'node:process'
import { down, repositoryRoot, up } from '@limbeck/platform'

export default async function setUp(): Promise<() => Promise<void>> {
  // Beside the developer's own stack, never in it: tests make and drop databases.
  process.env.LIMBECK_STATE_DIR ??= join(repositoryRoot, '.limbeck', 'test-stack')
  const { started } = await up()
  return async () => {
    if (started) await down()
  }
}
