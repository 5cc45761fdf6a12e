import type { ServiceStatus } from '@limbeck/platform'

/** Services as an aligned table, one a line, the reason last because it may be long. */
export function serviceTable(services: readonly ServiceStatus[]): string {
  const rows = services.map(({ name, state, pid, ports, restarts, reason }) => [
    name,
    state,
    pid === null ? '-' : String(pid),
    ports.length === 0 ? '-' : String(ports[0]),
    String(restarts),
    reason?.split('\n')[0] ?? '',
  ])
  const table = [['service', 'state', 'pid', 'port', 'restarts', ''], ...rows]
  const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? []
  return table
    .map(
      (row) =>
        `${row
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}
