import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/global-setup.ts'],
    // What a run starts from must not depend on the weights of whoever runs the tests.
    env: { FCDD_CACHE: join(tmpdir(), 'fcdd-test-empty-cache') },
    testTimeout: 60_000,
    // Two cores: more workers would only fight the engine's own thread pool.
    maxWorkers: 2,
  },
});
