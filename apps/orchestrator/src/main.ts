import process from 'node:process'
import {
  ConfigError,
  createLogger,
  createS3Client,
  ensureBucket,
  loadConfig,
  stopOnSignals,
} from '@limbeck/platform'
import { startOrchestrator } from './orchestrator.ts'

try {
  const config = loadConfig()
  const log = createLogger({ level: config.log_level, service: 'orchestrator' })
  const client = createS3Client(config.s3)
  await ensureBucket(client, config.s3.bucket).finally(() => client.destroy())
  const orchestrator = await startOrchestrator({ config, log })
  stopOnSignals(log, () => orchestrator.stop())
  log.info('started', { pid: process.pid })
} catch (error) {
  const message = error instanceof Error ? error.message : String(error)
  process.stderr.write(
    `${error instanceof ConfigError ? message : `the orchestrator cannot start: ${message}`}\n`,
  )
  process.exit(1)
}
