import { defineConfig } from 'vitest/config'

/** `./limbeck test --only chaos`: whole runs under kill -9, about half an hour; not part of the plain test command. */
export default defineConfig({
  test: {
    include: ['tests/chaos/*.test.ts'],
    testTimeout: 900_000,
    hookTimeout: 180_000,
    fileParallelism: false,
  },
})
