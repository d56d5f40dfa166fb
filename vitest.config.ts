import { fileURLToPath } from 'node:url'
import { configDefaults, defineConfig } from 'vitest/config'

const source = (path: string): string => fileURLToPath(new URL(`./src/${path}`, import.meta.url))

/** Tests import the package by its name and get the sources, so that coverage sees them. */
const alias = [
  { find: /^holdfast$/, replacement: source('index.ts') },
  { find: /^holdfast\/redis$/, replacement: source('engines/redis/index.ts') },
  { find: /^holdfast\/sqlite$/, replacement: source('engines/sqlite/index.ts') },
  { find: /^holdfast\/quorum$/, replacement: source('engines/quorum/index.ts') },
  { find: /^holdfast\/memory$/, replacement: source('engines/memory/index.ts') },
  { find: /^holdfast\/opentelemetry$/, replacement: source('opentelemetry/index.ts') },
  { find: /^holdfast\/web-locks$/, replacement: source('faces/web-locks/index.ts') },
  { find: /^holdfast\/redlock$/, replacement: source('faces/redlock/index.ts') },
  { find: /^holdfast\/redis-semaphore$/, replacement: source('faces/redis-semaphore/index.ts') },
  { find: /^holdfast\/testing$/, replacement: source('testing/index.ts') },
]

/** Where .ci/run wants the results, to count them. */
const results = process.env['HOLDFAST_TEST_RESULTS']

export default defineConfig({
  test: {
    reporters: results ? ['default', ['json', { outputFile: results }]] : ['default'],
    dangerouslyIgnoreUnhandledErrors: false,
    allowOnly: false,
    passWithNoTests: false,
    maxWorkers: 2,
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      exclude: ['src/**/*.test.ts', 'src/**/*.generated.ts'],
      reporter: ['text-summary', 'text', 'json-summary'],
      thresholds: {
        'src/core/**': { lines: 100, branches: 100 },
        'src/engines/memory/**': { lines: 100, branches: 100 },
        lines: 90,
        branches: 90,
      },
    },
    projects: [
      {
        resolve: { alias },
        test: {
          name: 'unit',
          include: [
            'src/**/*.test.ts',
            'test/*.test.ts',
            'test/model/**/*.test.ts',
            'test/simulation/**/*.test.ts',
            'test/contract/memory.test.ts',
            'test/web-locks/memory.test.ts',
            'test/contract/quorum-memory.test.ts',
            'test/quorum/simulated/*.test.ts',
            'test/chaos/judge.test.ts',
          ],
          exclude: [...configDefaults.exclude, 'test/model/{redis,sqlite}*'],
          sequence: { groupOrder: 0 },
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'types',
          include: [],
          typecheck: {
            enabled: true,
            only: true,
            checker: 'tsc',
            tsconfig: './tsconfig.json',
            include: ['test/package/*.test-d.ts'],
          },
          sequence: { groupOrder: 0 },
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'servers',
          include: [
            'test/contract/redis*.test.ts',
            'test/redis/**/*.test.ts',
            'test/topologies/**/*.test.ts',
            'test/contract/quorum-redis.test.ts',
            'test/quorum/*.test.ts',
            'test/telemetry/**/*.test.ts',
            'test/support/*.test.ts',
            'test/model/redis*.test.ts',
            'test/demo/**/*.test.ts',
            'test/web-locks/redis.test.ts',
            'test/doors/**/*.test.ts',
            'test/bench/**/*.test.ts',
          ],
          globalSetup: ['test/support/global-servers.ts'],
          maxWorkers: 2,
          testTimeout: 30_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'sqlite',
          include: [
            'test/contract/sqlite*.test.ts',
            'test/model/sqlite*.test.ts',
            'test/sqlite/**/*.test.ts',
            'test/web-locks/sqlite.test.ts',
          ],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'chaos',
          include: ['test/chaos/*.test.ts'],
          exclude: [...configDefaults.exclude, 'test/chaos/judge.test.ts'],
          globalSetup: ['test/support/global-servers.ts'],
          // Most of a run is waiting.
          maxConcurrency: 4,
          testTimeout: 240_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'cli',
          include: ['test/cli/**/*.test.ts'],
          globalSetup: ['test/cli/global-build.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'docs',
          include: ['test/docs/*.test.ts', 'test/examples/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: 'package',
          include: ['test/package/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 180_000,
          maxWorkers: 1,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
})
