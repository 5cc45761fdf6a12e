/** Choosing ports, and saying who holds one. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { createServer } from 'node:net'

/** Whether a server could listen there now. @throws Error where the address itself cannot be used. */
export function isPortFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(false)
      else reject(error)
    })
    // Exclusive: not shared with a cluster's primary process.
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/** First port the system may give to outgoing connections: one from there could be taken between two starts. */
function firstEphemeralPort(): number {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/)[0])
  } catch {
    return 32_768
  }
}

/**
 * Free loopback ports below the ephemeral range, in random places so that two checkouts rarely meet.
 * @throws Error where none is found in 2,000 tries.
 */
export async function chooseFreePorts(count: number, random: () => number = Math.random): Promise<number[]> {
  const low = 15_000
  const high = Math.max(low + 1_000, Math.min(firstEphemeralPort(), 32_768))
  const chosen = new Set<number>()
  for (let tries = 0; chosen.size < count; tries++) {
    if (tries > 2_000)
      throw new Error(`found ${chosen.size} of ${count} free ports between ${low} and ${high}`)
    const port = low + Math.floor(random() * (high - low))
    if (!chosen.has(port) && (await isPortFree(port))) chosen.add(port)
  }
  return [...chosen]
}

export interface PortHolder {
  readonly pid: number
  readonly command: string
  readonly cwd: string | undefined
}

/** Who listens on a TCP port, as far as this user may see. Linux only; undefined where it cannot be known. */
export function portHolder(port: number): PortHolder | undefined {
  try {
    const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
    const listening = '0A'
    const inodes = new Set(
      ['/proc/net/tcp', '/proc/net/tcp6']
        .flatMap((table) => readFileSync(table, 'utf8').split('\n').slice(1))
        .map((line) => line.trim().split(/\s+/))
        .filter((fields) => fields[1]?.endsWith(suffix) && fields[3] === listening)
        .map((fields) => `socket:[${fields[9]}]`),
    )
    if (inodes.size === 0) return undefined
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name) || !holdsSocket(name, inodes)) continue
      const command = readFileSync(`/proc/${name}/comm`, 'utf8').trim()
      return { pid: Number(name), command, cwd: link(`/proc/${name}/cwd`) }
    }
  } catch {
    // Not Linux, or the process ended while we looked.
  }
  return undefined
}

function holdsSocket(pid: string, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => inodes.has(link(`/proc/${pid}/fd/${fd}`) ?? ''))
  } catch {
    return false
  }
}

function link(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}
