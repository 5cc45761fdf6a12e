/**
 * The supervisor's process: `node supervisor-main.ts [--new-ports]`, started detached by `up`, configured by the
 * environment. Standard output goes to its log, one JSON line an event.
 */
import process, { argv, chdir, exit, pid, stdout } from 'node:process'
import { currentSettings, loadLocalConfig, s3BucketName } from '../config.ts'
import { writeFileAtomic } from '../files.ts'
import { tryFileLock } from '../process/file-lock.ts'
import { StackError } from './errors.ts'
import { initialiseStack } from './initialise.ts'
import { makeStackFolders, stackPaths } from './paths.ts'
import { Supervisor } from './supervisor.ts'

const report = (event: string, fields: Record<string, unknown>): void => {
  stdout.write(`${JSON.stringify({ time: new Date().toISOString(), event, ...fields })}\n`)
}

const config = loadLocalConfig()
makeStackFolders(config.state_dir)
const paths = stackPaths(config.state_dir)
chdir(config.state_dir)
const lock = tryFileLock(paths.lock)
if (lock === undefined) {
  // Another `up` was faster; whoever started this process finds that supervisor.
  report('supervisor_not_needed', { pid })
  exit(0)
}
try {
  const stack = await initialiseStack(config.state_dir, {
    python: config.python,
    newPorts: argv.includes('--new-ports'),
  })
  const supervisor = new Supervisor({
    config,
    stack,
    lock,
    settings: currentSettings(),
    bucket: s3BucketName(),
    report,
    onEnd: () => {
      report('supervisor_ended', { pid })
      // The answer to `down` leaves first.
      setTimeout(() => exit(0), 50)
    },
  })
  process.on('SIGTERM', () => void supervisor.end())
  process.on('SIGINT', () => void supervisor.end())
  // The terminal that started it may close.
  process.on('SIGHUP', () => {})
  await supervisor.start()
  report('supervisor_started', { pid })
} catch (error) {
  const { message } = error as Error
  const code = error instanceof StackError ? error.code : 'not_answering'
  report('supervisor_failed', { code, reason: message })
  writeFileAtomic(paths.startError, JSON.stringify({ code, message, pid }), 0o600)
  lock.release()
  exit(1)
}
