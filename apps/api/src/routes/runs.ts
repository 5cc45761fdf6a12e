import {
  RetryRequest,
  RunCreate,
  RunId,
  RunList,
  RunListQuery,
  RunPlan,
  RunsCancel,
  RunsCancelled,
  RunView,
} from '@limbeck/contracts'
import { digestOf } from '@limbeck/core'
import {
  cancelRun,
  cancelRuns,
  expectedSeconds,
  getRun,
  listAssets,
  listRuns,
  recordAudit,
  retryRun,
  submitRun,
} from '@limbeck/store'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { actorOf, identityOf } from '../auth.ts'
import { type ApiContext, type App, settled } from '../context.ts'
import { IdempotencyHeaders, idempotencyKeyOf } from '../idempotency.ts'
import { planSubmission, previewOf } from '../plan-submission.ts'
import { ProblemError } from '../problem.ts'
import { route } from '../route.ts'
import { signalRun } from '../signals.ts'

const tags = ['runs']
const params = z.strictObject({ run: RunId })
const nothing = z.strictObject({}).optional()

export function runRoutes(app: App, context: ApiContext): void {
  const { store } = context

  const audit = (request: FastifyRequest, action: string, resource: string, detail: unknown) =>
    recordAudit(store, {
      project: identityOf(request).project,
      actor: actorOf(identityOf(request)),
      action,
      resource,
      request_id: request.id,
      detail,
    })

  app.post(
    '/v1/runs',
    route(
      context,
      'submitter',
      {
        tags,
        summary: 'Submit a recipe with overrides',
        headers: IdempotencyHeaders,
        body: RunCreate,
        response: { 200: RunView, 201: RunView },
      },
      { bodyLimit: 512 * 1024 },
    ),
    async (request, reply) => {
      const identity = identityOf(request)
      const key = idempotencyKeyOf(request)
      const { body } = request
      const plan = planSubmission(body)
      const submitted = await submitRun(store, {
        project: identity.project,
        submitted_by: actorOf(identity),
        plan,
        overrides: body.overrides,
        label: body.label,
        priority: body.priority,
        cache: body.cache,
        cache_salt: body.cache_salt,
        idempotency: key === null ? null : { key, request_hash: digestOf(body) },
      })
      if (!submitted.ok && submitted.error.code === 'unknown_asset') {
        const names = (await listAssets(store, identity.project)).map((asset) => asset.name)
        throw new ProblemError(
          'unknown_asset',
          `${submitted.error.detail}; there are: ${names.join(', ') || 'none'}`,
        )
      }
      const { run, replayed } = settled(submitted)
      if (replayed) return reply.code(200).header('idempotency-replayed', 'true').send(run)
      signalRun(context, run)
      await audit(request, 'run.submit', run.id, { recipe: run.recipe, label: run.label })
      return reply.code(201).header('location', `/v1/runs/${run.id}`).send(run)
    },
  )

  app.get(
    '/v1/runs',
    route(context, 'viewer', {
      tags,
      summary: 'Runs, newest first, in pages',
      querystring: RunListQuery,
      response: { 200: RunList },
    }),
    async (request) => settled(await listRuns(store, identityOf(request).project, request.query)),
  )

  app.get(
    '/v1/runs/:run',
    route(context, 'viewer', {
      tags,
      summary: 'A run with its stages and their attempts',
      params,
      response: { 200: RunView },
    }),
    async (request) => settled(await getRun(store, identityOf(request).project, request.params.run)),
  )

  app.post(
    '/v1/runs/plan',
    route(
      context,
      'viewer',
      {
        tags,
        summary: 'What a submission would become: its stages, how long such stages took, what does not fit',
        body: RunCreate,
        response: { 200: RunPlan },
      },
      { bodyLimit: 512 * 1024 },
    ),
    async (request) => {
      const preview = previewOf(request.body)
      const seconds = await expectedSeconds(store, identityOf(request).project, preview.stages)
      return {
        stages: preview.stages.map((stage, index) => ({ ...stage, seconds: seconds[index] ?? null })),
        issues: preview.issues,
      }
    },
  )

  app.post(
    '/v1/runs/cancel',
    route(context, 'submitter', {
      tags,
      summary: 'Ask that many runs end; each by itself',
      body: RunsCancel,
      response: { 200: RunsCancelled },
    }),
    async (request) => {
      const identity = identityOf(request)
      const { cancelled, refused } = await cancelRuns(
        store,
        identity.project,
        request.body.runs,
        actorOf(identity),
      )
      for (const run of cancelled) {
        signalRun(context, run)
        await audit(request, 'run.cancel', run.id, { state: run.state })
      }
      return { cancelled: cancelled.map((run) => run.id), refused }
    },
  )

  app.post(
    '/v1/runs/:run/cancel',
    route(context, 'submitter', {
      tags,
      summary: 'Ask that the run ends; a running stage has 30 s until its lease is revoked',
      params,
      body: nothing,
      response: { 200: RunView },
    }),
    async (request) => {
      const identity = identityOf(request)
      const run = settled(await cancelRun(store, identity.project, request.params.run, actorOf(identity)))
      signalRun(context, run)
      await audit(request, 'run.cancel', run.id, { state: run.state })
      return run
    },
  )

  app.post(
    '/v1/runs/:run/retry',
    route(context, 'submitter', {
      tags,
      summary: 'Reopen failed, cancelled and skipped stages, with fresh budgets',
      params,
      body: RetryRequest.optional(),
      response: { 200: RunView },
    }),
    async (request) => {
      const identity = identityOf(request)
      const { run } = request.params
      const view = settled(
        await retryRun(store, identity.project, run, request.body?.stages, actorOf(identity)),
      )
      signalRun(context, view)
      await audit(request, 'run.retry', run, { stages: request.body?.stages ?? null })
      return view
    },
  )
}
