import { QueueList, WorkerId, WorkerList, WorkerView } from '@limbeck/contracts'
import { drainWorker, listQueues, listWorkers, recordAudit } from '@limbeck/store'
import { z } from 'zod'
import { actorOf, identityOf } from '../auth.ts'
import { type ApiContext, type App, settled } from '../context.ts'
import { route } from '../route.ts'

const tags = ['worker']

export function workerRoutes(app: App, context: ApiContext): void {
  const { store } = context

  app.get(
    '/v1/workers',
    route(context, 'viewer', {
      tags,
      summary: 'Workers, what they are and what they run',
      response: { 200: WorkerList },
    }),
    async (request) => ({ workers: await listWorkers(store, identityOf(request).project) }),
  )

  app.get(
    '/v1/queues',
    route(context, 'viewer', {
      tags,
      summary: 'Stages that wait and run, by resource class, and who serves it',
      response: { 200: QueueList },
    }),
    async (request) => listQueues(store, identityOf(request).project),
  )

  app.post(
    '/v1/workers/:worker/drain',
    route(context, 'admin', {
      tags,
      summary: 'Let a worker save its stage, give it back and take no other',
      params: z.strictObject({ worker: WorkerId }),
      body: z.strictObject({}).optional(),
      response: { 200: WorkerView },
    }),
    async (request) => {
      const identity = identityOf(request)
      const worker = settled(await drainWorker(store, identity.project, request.params.worker))
      await recordAudit(store, {
        project: identity.project,
        actor: actorOf(identity),
        action: 'worker.drain',
        resource: worker.id,
        request_id: request.id,
      })
      if (worker.stage !== null) context.held.wake(worker.stage)
      return worker
    },
  )
}
