import { defineConfig } from 'vitest/config'

/**
 * Unit and integration tests. The integration tests share one embedded stack (real PostgreSQL, Valkey, S3),
 * started by the global set-up; each test makes a database and a bucket of its own in it.
 */
export default defineConfig({
  test: {
    include: [
      'packages/*/test/**/*.test.ts',
      'apps/*/test/**/*.test.ts',
      'apps/*/src/**/test/**/*.test.ts',
      'tests/**/*.test.ts',
    ],
    // Whole runs under kill -9 have a command of their own: ./limbeck test --only chaos.
    exclude: ['**/node_modules/**', '.limbeck/**', 'tests/chaos/**'],
    globalSetup: ['tests/support/global-setup.ts'],
    // Servers, tests and, on a developer's machine, a training job share a few cores.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 180_000,
    reporters: ['default'],
  },
})
