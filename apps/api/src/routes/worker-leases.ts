import {
  Acknowledged,
  CheckpointReport,
  ClaimRequest,
  ClaimResponse,
  CompleteRequest,
  FailRequest,
  HeartbeatRequest,
  HeartbeatResponse,
  ReleaseRequest,
  StageId,
  type WorkerId,
  WorkerRegister,
  WorkerRegistered,
} from '@limbeck/contracts'
import {
  completeStage,
  type Fence,
  failStage,
  registerWorker,
  releaseStage,
  reportCheckpoint,
} from '@limbeck/store'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { identityOf } from '../auth.ts'
import { claim } from '../claim.ts'
import { type ApiContext, type App, settled } from '../context.ts'
import { holdHeartbeat } from '../hold-heartbeat.ts'
import { forgetWorker, workerClasses } from '../known-workers.ts'
import { ProblemError } from '../problem.ts'
import { route } from '../route.ts'

const tags = ['worker']
const params = z.strictObject({ stage: StageId })
/** Results hold a verdict a prompt: up to 100,000 of them. */
const RESULT_BYTES = 4 * 1024 ** 2

type FencedRequest = FastifyRequest<{ Params: { stage: StageId }; Body: { worker: WorkerId; epoch: number } }>

export function workerLeaseRoutes(app: App, context: ApiContext): void {
  const { store, protocol } = context

  /** What the call claims to hold. A worker of another project holds nothing here. */
  const fenceOf = async (request: FencedRequest): Promise<Fence> => {
    const { worker, epoch } = request.body
    if ((await workerClasses(context, identityOf(request).project, worker)) === null)
      throw new ProblemError('lease_lost', `there is no worker ${worker} in this project`)
    return { worker, epoch, stage: request.params.stage }
  }

  app.post(
    '/v1/worker/register',
    route(context, 'worker', {
      tags,
      summary: 'Say what a worker is; the same boot again is the same worker',
      body: WorkerRegister,
      response: { 200: WorkerRegistered },
    }),
    async (request) => {
      const { project } = identityOf(request)
      const worker = await registerWorker(store, project, request.body)
      forgetWorker(project, worker)
      return {
        worker,
        lease_seconds: store.timing.lease_seconds,
        heartbeat_hold_seconds: protocol.heartbeat_hold_seconds,
        claim_wait_seconds: protocol.claim_wait_seconds,
        outage_seconds: protocol.outage_seconds,
      }
    },
  )

  app.post(
    '/v1/worker/claim',
    route(context, 'worker', {
      tags,
      summary: 'Wait for a stage; the same claim id again gets the same lease',
      body: ClaimRequest,
      response: { 200: ClaimResponse },
    }),
    async (request, reply) => ({ lease: await claim(context, request, reply) }),
  )

  app.post(
    '/v1/worker/stages/:stage/heartbeat',
    route(context, 'worker', {
      tags,
      summary: 'Renew the lease; the answer waits until there is something to say',
      params,
      body: HeartbeatRequest,
      response: { 200: HeartbeatResponse },
    }),
    async (request, reply) => {
      await fenceOf(request)
      return holdHeartbeat(context, request.params.stage, request.body, reply)
    },
  )

  app.post(
    '/v1/worker/stages/:stage/checkpoint',
    route(context, 'worker', {
      tags,
      summary: 'Name a stored tree that a later attempt may resume from',
      params,
      body: CheckpointReport,
      response: { 200: Acknowledged },
    }),
    async (request) => {
      const { step, digest } = request.body
      return settled(await reportCheckpoint(store, await fenceOf(request), { step, digest }))
    },
  )

  app.post(
    '/v1/worker/stages/:stage/complete',
    route(
      context,
      'worker',
      {
        tags,
        summary: 'Name the output; the stage succeeds when the server has hashed it',
        params,
        body: CompleteRequest,
        response: { 200: Acknowledged },
      },
      { bodyLimit: RESULT_BYTES },
    ),
    async (request) => {
      const { output, result } = request.body
      return settled(await completeStage(store, await fenceOf(request), { output, result }))
    },
  )

  app.post(
    '/v1/worker/stages/:stage/fail',
    route(
      context,
      'worker',
      {
        tags,
        summary: 'End the attempt with a reason, a sentence and its last log lines',
        params,
        body: FailRequest,
        response: { 200: Acknowledged },
      },
      { bodyLimit: 512 * 1024 },
    ),
    async (request) => {
      const { worker: _worker, epoch: _epoch, ...failure } = request.body
      return settled(await failStage(store, await fenceOf(request), failure))
    },
  )

  app.post(
    '/v1/worker/stages/:stage/release',
    route(context, 'worker', {
      tags,
      summary: 'Give the lease back: preempted behind a checkpoint, or cancelled as asked',
      params,
      body: ReleaseRequest,
      response: { 200: Acknowledged },
    }),
    async (request) => {
      const { worker: _worker, epoch: _epoch, ...release } = request.body
      return settled(await releaseStage(store, await fenceOf(request), release))
    },
  )
}
