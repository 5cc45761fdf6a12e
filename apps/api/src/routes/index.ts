import type { ApiContext, App } from '../context.ts'
import { artifactRoutes } from './artifacts.ts'
import { assetRoutes } from './assets.ts'
import { eventRoutes } from './events.ts'
import { healthRoutes } from './health.ts'
import { metricRoutes } from './metrics.ts'
import { modelRoutes } from './models.ts'
import { promotionRoutes } from './promotions.ts'
import { recipeRoutes } from './recipes.ts'
import { recordRoutes } from './records.ts'
import { runRoutes } from './runs.ts'
import { sessionRoutes } from './sessions.ts'
import { stageRoutes } from './stages.ts'
import { tokenRoutes } from './tokens.ts'
import { uploadRoutes } from './uploads.ts'
import { workerLeaseRoutes } from './worker-leases.ts'
import { workerStreamRoutes } from './worker-streams.ts'
import { workerTransferRoutes } from './worker-transfers.ts'
import { workerRoutes } from './workers.ts'

/** One group of routes a file; a new endpoint: copy the shape of assets.ts. */
const GROUPS = [
  healthRoutes,
  runRoutes,
  stageRoutes,
  eventRoutes,
  metricRoutes,
  artifactRoutes,
  uploadRoutes,
  assetRoutes,
  recipeRoutes,
  modelRoutes,
  promotionRoutes,
  recordRoutes,
  workerRoutes,
  tokenRoutes,
  sessionRoutes,
  workerLeaseRoutes,
  workerStreamRoutes,
  workerTransferRoutes,
] as const

export function registerRoutes(app: App, context: ApiContext): void {
  for (const group of GROUPS) group(app, context)
}
