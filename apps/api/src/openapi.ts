import swagger from '@fastify/swagger'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import type { App } from './context.ts'

/** OpenAPI 3.1 from the zod schemas of the routes. The committed docs/openapi.json is this document. */
export async function installOpenApi(app: App): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Limbeck',
        version: '1',
        description:
          'Runs that distil a diffusion teacher into a model for a phone. Errors are problem details (RFC 9457); ' +
          'docs/api.md lists their codes.',
      },
      components: {
        securitySchemes: {
          token: {
            type: 'http',
            scheme: 'bearer',
            description: 'a token with the scope that the operation names',
          },
          session: { type: 'apiKey', in: 'cookie', name: 'limbeck_session', description: 'the dashboard' },
        },
      },
      tags: [
        { name: 'runs', description: 'submit, watch, cancel, retry' },
        { name: 'metrics', description: 'series, arrays over t, logs' },
        { name: 'artifacts', description: 'bytes by their SHA-256, uploads, named assets' },
        { name: 'releases', description: 'evaluations, model versions, gates, promotions' },
        { name: 'access', description: 'tokens, sessions' },
        { name: 'worker', description: 'the lease protocol of workers' },
        { name: 'service', description: 'health, metrics, this description' },
      ],
    },
    transform: namedWildcard,
    transformObject: jsonSchemaTransformObject,
  })
  app.get('/openapi.json', { schema: { hide: true } as object }, async (_request, reply) =>
    reply.type('application/json').send(JSON.stringify(app.swagger())),
  )
}

/** Fastify's `*` is a parameter without a name, which OpenAPI does not know. */
const namedWildcard: typeof jsonSchemaTransform = (document) => {
  const { schema, url } = jsonSchemaTransform(document)
  if (!url.endsWith('/*')) return { schema, url }
  const { params, ...rest } = schema as {
    params: { properties: Record<string, unknown>; required: string[] }
  }
  const { '*': path, ...others } = params.properties
  const required = params.required.map((name) => (name === '*' ? 'path' : name))
  return {
    schema: { ...rest, params: { ...params, properties: { ...others, path }, required } },
    url: url.replace(/\*$/, ':path'),
  }
}
