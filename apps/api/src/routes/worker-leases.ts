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
  WorkerRegister,
  WorkerRegistered,
} from '@limbeck/contracts'
import { completeStage, failStage, registerWorker, releaseStage, reportCheckpoint } from '@limbeck/store'
import { z } from 'zod'
import { identityOf } from '../auth.ts'
import { claim } from '../claim.ts'
import { type ApiContext, type App, settled } from '../context.ts'
import { holdHeartbeat } from '../hold-heartbeat.ts'
import { route } from '../route.ts'

const tags = ['worker']
const params = z.strictObject({ stage: StageId })
/** Results hold a verdict a prompt: up to 100,000 of them. */
const RESULT_BYTES = 4 * 1024 ** 2

export function workerLeaseRoutes(app: App, context: ApiContext): void {
  const { store, protocol } = context

  app.post(
    '/v1/worker/register',
    route(context, 'worker', {
      tags,
      summary: 'Say what a worker is; the same boot again is the same worker',
      body: WorkerRegister,
      response: { 200: WorkerRegistered },
    }),
    async (request) => ({
      worker: await registerWorker(store, identityOf(request).project, request.body),
      lease_seconds: store.timing.lease_seconds,
      heartbeat_hold_seconds: protocol.heartbeat_hold_seconds,
      claim_wait_seconds: protocol.claim_wait_seconds,
      outage_seconds: protocol.outage_seconds,
    }),
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
    async (request, reply) => holdHeartbeat(context, request.params.stage, request.body, reply),
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
      const { worker, epoch, step, digest } = request.body
      const fence = { worker, epoch, stage: request.params.stage }
      return settled(await reportCheckpoint(store, fence, { step, digest }))
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
      const { worker, epoch, output, result } = request.body
      const fence = { worker, epoch, stage: request.params.stage }
      return settled(await completeStage(store, fence, { output, result }))
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
      const { worker, epoch, ...failure } = request.body
      return settled(await failStage(store, { worker, epoch, stage: request.params.stage }, failure))
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
      const { worker, epoch, ...release } = request.body
      return settled(await releaseStage(store, { worker, epoch, stage: request.params.stage }, release))
    },
  )
}
