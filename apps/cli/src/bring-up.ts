import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import {
  addService,
  type Config,
  ensureSecrets,
  repositoryRoot,
  up,
  writeFileAtomic,
} from '@limbeck/platform'
import {
  closeStore,
  createToken,
  ensureProject,
  findToken,
  migrate,
  newTokenSecret,
  openStore,
} from '@limbeck/store'
import { z } from 'zod'
import { ApiClient } from './client.ts'
import { pythonPath } from './python.ts'

/** The control plane of this checkout, running, and the tokens that the demo works with. */
export interface BroughtUp {
  config: Config
  apiUrl: string
  tokens: Record<'admin' | 'submitter' | 'promoter' | 'worker', string>
}

export interface BringUpOptions {
  /** CPU workers of one thread each. */
  workers: number
  report: (line: string) => void
}

/** Each has a token of its own with just that scope. */
const ROLES = ['admin', 'submitter', 'promoter', 'worker'] as const

/** Servers, schema, tokens, API, orchestrator and workers; what runs already is found, not started twice. */
export async function bringUp({ workers, report }: BringUpOptions): Promise<BroughtUp> {
  const { config, started } = await up()
  report(started ? 'The embedded stack is up.' : 'The embedded stack was up already.')
  await migrate(config.database_url)
  const tokens = await tokensOf(config)
  const apiUrl = `http://127.0.0.1:${config.api.port}`
  const node = (name: string, entry: string, rest: object) =>
    addService({ name, argv: [process.execPath, join(repositoryRoot, entry)], cwd: repositoryRoot, ...rest })
  await node('orchestrator', 'apps/orchestrator/src/main.ts', {})
  await node('api', 'apps/api/src/main.ts', {
    listen: config.api.host,
    ports: [config.api.port],
    health_url: `${apiUrl}/v1/health`,
  })
  for (let number = 1; number <= workers; number++) await addWorker(config, apiUrl, tokens.worker, number)
  report(`API on ${apiUrl}, orchestrator, ${workers} CPU workers of one thread each.`)
  return { config, apiUrl, tokens }
}

/** Tokens are made once and kept in .limbeck/secrets (0600); the database knows their hashes only. */
async function tokensOf(config: Config): Promise<BroughtUp['tokens']> {
  const secrets = await ensureSecrets(config.state_dir, {
    admin_token: newTokenSecret,
    submitter_token: newTokenSecret,
    promoter_token: newTokenSecret,
    worker_token: newTokenSecret,
  })
  const tokens = {
    admin: secrets.admin_token,
    submitter: secrets.submitter_token,
    promoter: secrets.promoter_token,
    worker: secrets.worker_token,
  }
  const store = openStore({ url: config.database_url, max_connections: 1 })
  try {
    await ensureProject(store, 'default')
    for (const role of ROLES) {
      const secret = tokens[role]
      if ((await findToken(store, secret)) !== null) continue
      await createToken(store, {
        project: 'default',
        name: `${role} of this checkout`,
        scopes: [role],
        expires_days: null,
        secret,
      })
    }
  } finally {
    await closeStore(store)
  }
  return tokens
}

async function addWorker(config: Config, apiUrl: string, token: string, number: number): Promise<void> {
  const name = `worker-${number}`
  const folder = join(config.state_dir, 'workers', name)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const tokenFile = join(folder, 'token')
  // A file, because arguments and environments of processes can be read by others.
  writeFileAtomic(tokenFile, `${token}\n`, 0o600)
  chmodSync(tokenFile, 0o600)
  await addService({
    name,
    argv: [
      config.python,
      '-m',
      'limbeck.agent',
      '--api',
      apiUrl,
      '--token-file',
      tokenFile,
      '--name',
      name,
      '--resource-class',
      'cpu',
      '--workdir',
      folder,
      // Less than stop_timeout_s, so that a checkpoint on the way is not cut off.
      '--drain-seconds',
      '50',
    ],
    cwd: repositoryRoot,
    env: {
      ...pythonPath,
      OMP_NUM_THREADS: '1',
      MKL_NUM_THREADS: '1',
    },
    stop_timeout_s: 60,
  })
}

/** An address that signs its reader in: the code behind "#" works once and reaches no log. */
export async function dashboardAddress({ apiUrl, tokens }: BroughtUp, run?: string): Promise<string> {
  const admin = new ApiClient(apiUrl, tokens.admin)
  const { code } = await admin.post('/v1/session-codes', z.object({ code: z.string() }), {})
  return `${apiUrl}${run === undefined ? '' : `/runs/${run}`}#code=${code}`
}
