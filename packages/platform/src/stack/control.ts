/**
 * The supervisor's control channel: a Unix socket in a 0700 folder; one JSON line asks, one answers.
 */
import { chmodSync, closeSync, openSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { basename, dirname, relative } from 'node:path'
import { z } from 'zod'
import { StackError, type StackErrorCode } from './errors.ts'
import { ServiceName, ServiceSpec, ServiceStatus } from './service.ts'

export const ControlRequest = z.discriminatedUnion('command', [
  z.strictObject({ command: z.literal('status') }),
  /** Starts the servers that are not running and waits until all work. */
  z.strictObject({
    command: z.literal('ensure'),
    /** SHA-256 of each variable that chooses servers, by name: a stack started with others is refused. */
    settings: z.record(z.string(), z.string()),
  }),
  z.strictObject({ command: z.literal('add'), spec: ServiceSpec }),
  z.strictObject({ command: z.literal('remove'), name: ServiceName }),
  z.strictObject({ command: z.literal('down') }),
])
export type ControlRequest = z.infer<typeof ControlRequest>

const ControlAnswer = z.union([
  z.strictObject({ services: z.array(ServiceStatus) }),
  z.strictObject({ error: z.strictObject({ code: z.string(), message: z.string() }) }),
])

const requestLimitBytes = 1024 * 1024
/** sun_path holds 108 bytes on Linux, 104 on macOS, the closing zero included. */
const pathLimit = 103

/**
 * Calls `use` with a name for the socket that is short enough: its path, the path from here, or (Linux) its name
 * below an open folder. A checkout may lie deeper than a socket's address can say.
 */
async function withAddress<T>(path: string, use: (address: string) => Promise<T>): Promise<T> {
  const short = [path, relative(process.cwd(), path)].find((name) => Buffer.byteLength(name) <= pathLimit)
  if (short !== undefined) return use(short)
  if (process.platform !== 'linux')
    throw new Error(
      `${path} is too long for a Unix socket (${pathLimit} bytes); move the checkout or set LIMBECK_STATE_DIR`,
    )
  const folder = openSync(dirname(path), 'r')
  try {
    return await use(`/proc/self/fd/${folder}/${basename(path)}`)
  } finally {
    closeSync(folder)
  }
}

export type ControlHandler = (request: ControlRequest) => Promise<ServiceStatus[]>

/** Serves requests until closed. The caller holds the supervisor's lock, so an old socket file is nobody's. */
export async function serveControl(path: string, handle: ControlHandler): Promise<Server> {
  rmSync(path, { force: true })
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy())
    answer(socket, handle)
  })
  await withAddress(
    path,
    (address) =>
      new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(address, () => resolve())
      }),
  )
  chmodSync(path, 0o600)
  return server
}

function answer(socket: Socket, handle: ControlHandler): void {
  let text = ''
  socket.setEncoding('utf8')
  const onData = (chunk: string) => {
    text += chunk
    const end = text.indexOf('\n')
    if (end < 0) {
      if (text.length > requestLimitBytes) socket.destroy()
      return
    }
    socket.off('data', onData)
    // Reading on notices a client that goes away.
    socket.resume()
    respond(text.slice(0, end), handle).then((line) => socket.end(`${line}\n`))
  }
  socket.on('data', onData)
  socket.setTimeout(10_000, () => {
    if (text === '') socket.destroy()
  })
}

async function respond(line: string, handle: ControlHandler): Promise<string> {
  try {
    return JSON.stringify({ services: await handle(ControlRequest.parse(JSON.parse(line))) })
  } catch (error) {
    const code = error instanceof StackError ? error.code : 'not_answering'
    return JSON.stringify({ error: { code, message: (error as Error).message } })
  }
}

/**
 * Sends one request. @returns undefined where no supervisor listens.
 * @throws StackError with the supervisor's message, or supervisor_silent after `timeoutMs`.
 */
export async function askSupervisor(
  path: string,
  request: z.input<typeof ControlRequest>,
  timeoutMs: number,
): Promise<ServiceStatus[] | undefined> {
  const line = await withAddress(path, (address) =>
    exchange(address, JSON.stringify(request), timeoutMs),
  ).catch((error: NodeJS.ErrnoException) => {
    if (['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(error.code ?? '')) return undefined
    throw error
  })
  if (line === undefined || line === '') return undefined
  const parsed = ControlAnswer.parse(JSON.parse(line))
  if ('error' in parsed) throw new StackError(parsed.error.code as StackErrorCode, parsed.error.message)
  return parsed.services
}

function exchange(address: string, line: string, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(address, () => socket.write(`${line}\n`))
    const timer = setTimeout(() => {
      socket.destroy()
      reject(
        new StackError(
          'supervisor_silent',
          `the stack's supervisor gave no answer within ${timeoutMs / 1000} s`,
        ),
      )
    }, timeoutMs)
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      text += chunk
    })
    socket.once('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    socket.once('close', () => {
      clearTimeout(timer)
      resolve(text.trim())
    })
  })
}
