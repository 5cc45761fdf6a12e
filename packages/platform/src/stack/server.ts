import type { ServiceSpec } from './service.ts'

/** One of the stack's own servers: a service with code around its start. */
export interface EmbeddedServer {
  readonly spec: ServiceSpec
  /** Its working folder; a listener with this folder is ours, whatever the records say. */
  readonly folder: string
  /** Makes data and configuration where absent; run before each start. */
  prepare(): Promise<void>
  /** Resolves when the server does its work, not merely answers. @throws what is wrong */
  probe(): Promise<void>
  /** Clears what the stopped server leaves outside its folders. */
  cleanUp?(): void
}
