import { defineConfig } from 'prisma/config'

/** Read by Prisma's own command line; the services take their address from the platform's configuration. */
export default defineConfig({
  schema: 'schema.prisma',
  migrations: { path: 'migrations' },
  datasource: { url: process.env.DATABASE_URL ?? '' },
})
