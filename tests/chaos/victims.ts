import { readdirSync, readFileSync } from 'node:fs'
import { status } from '@limbeck/platform'

/** What may be killed. `child`: the stage process itself, under a worker that lives on. */
export const VICTIMS = ['worker', 'child', 'api', 'orchestrator', 'supervisor'] as const
export type Victim = (typeof VICTIMS)[number]

/** Process ids below `pid`, from /proc; empty where it has ended. */
export function descendants(pid: number): number[] {
  const parents = new Map<number, number>()
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8')
      // The program's name is in parentheses and may hold spaces; the parent is the second field behind it.
      parents.set(Number(entry), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]))
    } catch {
      // It ended between listing and reading.
    }
  }
  const found = [pid]
  for (const each of found)
    found.push(...[...parents].filter(([, parent]) => parent === each).map(([child]) => child))
  return found.slice(1)
}

const commandOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

/** The stage processes under a worker's agent. */
export const stageProcesses = (worker: number): number[] =>
  descendants(worker).filter((pid) => commandOf(pid).includes('limbeck.stages'))

/**
 * Kills one of this stack's processes with SIGKILL, by id. For `worker` and `child` it is the worker
 * that runs a stage. @returns the id, or null where there is no such process at this moment.
 */
export async function kill(victim: Victim): Promise<number | null> {
  const { services, supervisor_pid } = await status()
  const workers = services.filter((service) => service.name.startsWith('worker-') && service.pid !== null)
  const busy = workers.map((service) => service.pid as number).find((pid) => stageProcesses(pid).length > 0)
  const pid = {
    worker: () => busy ?? null,
    child: () => (busy === undefined ? null : (stageProcesses(busy)[0] ?? null)),
    api: () => services.find((service) => service.name === 'api')?.pid ?? null,
    orchestrator: () => services.find((service) => service.name === 'orchestrator')?.pid ?? null,
    supervisor: () => supervisor_pid,
  }[victim]()
  if (pid !== null) process.kill(pid, 'SIGKILL')
  return pid
}
