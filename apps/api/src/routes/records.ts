import {
  Digest,
  EvaluationId,
  MeasurementCreate,
  MeasurementList,
  MeasurementView,
  PreferenceNext,
  PreferenceResult,
  VoteCreate,
  VoteView,
} from '@limbeck/contracts'
import { listMeasurements, nextPair, preferences, recordMeasurement, vote } from '@limbeck/store'
import { z } from 'zod'
import { bearerOf, identityOf } from '../auth.ts'
import { type ApiContext, type App, settled } from '../context.ts'
import { ProblemError } from '../problem.ts'
import { route } from '../route.ts'

const tags = ['releases']

/** "evl_a,evl_b": two to ten different evaluations. */
const evaluations = z
  .string()
  .max(400)
  .transform((text) => text.split(','))
  .pipe(z.array(EvaluationId).min(2).max(10))
  .refine((ids) => new Set(ids).size === ids.length, 'names an evaluation twice')

/** What comes from outside: measurements of devices, votes of people. */
export function recordRoutes(app: App, context: ApiContext): void {
  const { store } = context

  app.post(
    '/v1/measurements',
    route(context, 'device', {
      tags,
      summary: 'A signed measurement of a package on a device; the same again is the stored one',
      body: MeasurementCreate,
      response: { 201: MeasurementView },
    }),
    async (request, reply) => {
      const { project, name } = identityOf(request)
      const token = bearerOf(request)
      if (token === null)
        throw new ProblemError('unauthenticated', 'a device sends its token: Authorization: Bearer <token>')
      const device = { project, token_name: name, token }
      return reply.code(201).send(settled(await recordMeasurement(store, device, request.body)))
    },
  )

  app.get(
    '/v1/measurements',
    route(context, 'viewer', {
      tags,
      summary: 'Measurements of devices, newest first; estimates are in the reports of exports',
      querystring: z.strictObject({
        program_sha256: Digest.optional(),
        limit: z.coerce.number().int().min(1).max(1000).default(200),
      }),
      response: { 200: MeasurementList },
    }),
    async (request) => ({
      measurements: await listMeasurements(store, identityOf(request).project, request.query),
    }),
  )

  app.get(
    '/v1/preferences',
    route(context, 'viewer', {
      tags,
      summary: 'Bradley-Terry strengths of evaluations from all votes on pairs of their pictures',
      querystring: z.strictObject({ evaluations }),
      response: { 200: PreferenceResult },
    }),
    async (request) =>
      settled(await preferences(store, identityOf(request).project, request.query.evaluations)),
  )

  app.get(
    '/v1/preferences/next',
    route(context, 'viewer', {
      tags,
      summary:
        "The caller's next pair of pictures: the one with the fewest votes, sides by the caller's coin",
      querystring: z.strictObject({ evaluations }),
      response: { 200: PreferenceNext },
    }),
    async (request) => {
      const { project, id } = identityOf(request)
      return settled(await nextPair(store, project, id, request.query.evaluations))
    },
  )

  app.post(
    '/v1/preferences/votes',
    route(context, 'viewer', {
      tags,
      summary: 'A vote on a pair; once a voter and picture',
      body: VoteCreate,
      response: { 201: VoteView },
    }),
    async (request, reply) => {
      const { project, id } = identityOf(request)
      return reply.code(201).send(settled(await vote(store, project, id, request.body)))
    },
  )
}
