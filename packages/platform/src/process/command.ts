/** Runs a short command to its end, with a time limit and its last output in the error. */
import { spawn } from 'node:child_process'

export interface CommandOptions {
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  /** SIGKILL to the whole process group after this. */
  readonly timeoutMs: number
  readonly uid?: number
  readonly gid?: number
  /** Bytes of output kept, stdout and stderr together. Default 64 KiB. */
  readonly keepBytes?: number
}

/** @returns what it printed. @throws Error with program, exit and last lines where it fails or takes too long. */
export function runCommand(argv: readonly string[], options: CommandOptions): Promise<string> {
  const [program = '', ...args] = argv
  const keep = options.keepBytes ?? 65_536
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(options.uid === undefined ? {} : { uid: options.uid }),
      ...(options.gid === undefined ? {} : { gid: options.gid }),
    })
    let output = ''
    let timedOut = false
    const collect = (chunk: Buffer) => {
      output = (output + chunk.toString('utf8')).slice(-keep)
    }
    child.stdout.on('data', collect)
    child.stderr.on('data', collect)
    const timer = setTimeout(() => {
      timedOut = true
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
      } catch {
        // It ended by itself just now.
      }
    }, options.timeoutMs)
    child.once('error', (error) => {
      clearTimeout(timer)
      reject(new Error(`cannot run ${program}: ${error.message}`))
    })
    child.once('close', (status, signal) => {
      clearTimeout(timer)
      if (status === 0) return resolve(output)
      const how = timedOut
        ? `took longer than ${options.timeoutMs / 1000} s`
        : `ended with ${signal ?? `status ${status}`}`
      reject(new Error(`${program} ${how}:\n${output.trimEnd().split('\n').slice(-15).join('\n')}`))
    })
  })
}
