import process from 'node:process'
import {
  ConfigError,
  createLogger,
  createS3Client,
  ensureBucket,
  loadConfig,
  stopOnSignals,
} from '@limbeck/platform'
import { startApi } from './api.ts'

try {
  const config = loadConfig()
  const log = createLogger({ level: config.log_level, service: 'api' })
  const client = createS3Client(config.s3)
  await ensureBucket(client, config.s3.bucket).finally(() => client.destroy())
  const api = await startApi({ config, log })
  stopOnSignals(log, () => api.stop())
  log.info('listening', { url: api.url, pid: process.pid })
} catch (error) {
  const message = error instanceof Error ? error.message : String(error)
  process.stderr.write(`${error instanceof ConfigError ? message : `the API cannot start: ${message}`}\n`)
  process.exit(1)
}
