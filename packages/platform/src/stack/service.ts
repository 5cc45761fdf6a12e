/** A managed process, described by data: what the supervisor needs to start, probe, restart and stop it. */
import { z } from 'zod'

export const ServiceName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be 1-32 of a-z, 0-9, "-", starting with a letter')

export const ServiceSpec = z.strictObject({
  name: ServiceName,
  argv: z
    .array(z.string())
    .min(1)
    .describe('program (absolute path) and arguments; no secrets, everybody can read them'),
  cwd: z.string(),
  env: z.record(z.string(), z.string()).default({}),
  inherit_env: z
    .boolean()
    .default(true)
    .describe("start from the supervisor's environment; false: `env` alone"),
  uid: z.int().optional(),
  gid: z.int().optional(),
  listen: z.string().default('127.0.0.1').describe('address of `ports`'),
  ports: z.array(z.int().min(1).max(65535)).default([]).describe('must be free before a start; checked'),
  health_url: z
    .string()
    .optional()
    .describe('answers 200 when the service works; absent: running counts as healthy'),
  start_timeout_s: z
    .number()
    .positive()
    .max(600)
    .default(60)
    .describe('from start to the first healthy answer'),
  hang_timeout_s: z
    .number()
    .positive()
    .nullable()
    .default(120)
    .describe('restarted when unhealthy for so long; null: never, it is only reported'),
  stop_signal: z.enum(['SIGTERM', 'SIGINT']).default('SIGTERM'),
  stop_timeout_s: z.number().positive().max(600).default(20).describe('then SIGKILL to the process group'),
})
export type ServiceSpec = z.infer<typeof ServiceSpec>
export type ServiceSpecInput = z.input<typeof ServiceSpec>

export const ServiceState = z.enum(['starting', 'healthy', 'unhealthy', 'waiting', 'stopping', 'stopped'])
export type ServiceState = z.infer<typeof ServiceState>

export const ServiceStatus = z.strictObject({
  name: ServiceName,
  state: ServiceState,
  pid: z.int().nullable(),
  ports: z.array(z.int()),
  /** Restarts since the supervisor took charge of it. */
  restarts: z.int(),
  /** Milliseconds since the epoch of the last change of state. */
  since_ms: z.number(),
  /** Why it is not healthy, or what ended it last. */
  reason: z.string().nullable(),
  log: z.string(),
})
export type ServiceStatus = z.infer<typeof ServiceStatus>
