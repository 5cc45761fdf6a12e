import { existsSync } from 'node:fs'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { ApiContext, App } from './context.ts'

/** Serves the built dashboard where there is one. @returns whether there is. */
export async function installDashboard(app: App, { config, dashboard: root }: ApiContext): Promise<boolean> {
  if (!existsSync(join(root, 'index.html'))) return false
  const store = new URL(config.s3.public_endpoint).origin
  const policy = [
    "default-src 'self'",
    // Mantine and uPlot set style attributes.
    "style-src 'self' 'unsafe-inline'",
    `img-src 'self' data: blob: ${store}`,
    `connect-src 'self' ${store}`,
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join('; ')
  await app.register(fastifyStatic, {
    root,
    wildcard: false,
    // Files under assets/ carry their content's hash in their name; the page that names them changes.
    cacheControl: false,
    setHeaders: (reply, path) => {
      const hashed = path.includes('/assets/')
      reply.header('cache-control', hashed ? 'public, max-age=31536000, immutable' : 'no-cache')
      reply.header('content-security-policy', policy)
    },
  })
  return true
}
