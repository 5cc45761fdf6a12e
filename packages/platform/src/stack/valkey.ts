/** The embedded Valkey: append-only file, password, no eviction (BullMQ loses jobs under any other policy). */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { writeFileAtomic } from '../files.ts'
import { ensureSecrets } from '../secrets.ts'
import { valkeyBinary } from './binaries.ts'
import { stackPaths } from './paths.ts'
import { probeValkey } from './probes.ts'
import type { EmbeddedServer } from './server.ts'
import { ServiceSpec } from './service.ts'
import type { StackFile } from './stack-file.ts'

export function embeddedValkey(options: {
  stateDir: string
  stack: StackFile
  python: string
}): EmbeddedServer {
  const { stateDir, stack } = options
  const folder = stackPaths(stateDir).data('valkey')
  const configuration = join(folder, 'valkey.conf')
  const port = stack.ports.valkey
  const password = async () => (await ensureSecrets(stateDir, { valkey_password: undefined })).valkey_password
  return {
    folder,
    async prepare() {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      const lines = [
        'bind 127.0.0.1',
        `port ${port}`,
        'unixsocket ""',
        'protected-mode yes',
        `requirepass ${await password()}`,
        'dir .',
        'appendonly yes',
        'appendfsync everysec',
        'save ""',
        'maxmemory-policy noeviction',
        'daemonize no',
      ]
      // In a file, not in arguments: those everybody can read.
      writeFileAtomic(configuration, `${lines.join('\n')}\n`, 0o600)
    },
    async probe() {
      await probeValkey(`redis://:${await password()}@127.0.0.1:${port}/0`)
    },
    spec: ServiceSpec.parse({
      name: 'valkey',
      argv: [valkeyBinary(options.python), configuration],
      cwd: folder,
      env: { PATH: '/usr/bin:/bin', LANG: 'C.UTF-8' },
      inherit_env: false,
      start_timeout_s: 90,
      ports: [port],
    }),
  }
}
