import { globSync, readFileSync } from 'node:fs'
import { defineConfig } from 'vitest/config'

/** Tests read the sources of every lib, never a stale dist. */
const conditions = ['@ambient-lab/source', 'node', 'import', 'module', 'default']

export default defineConfig({
  test: {
    projects: globSync(['libs/*', 'apps/*', 'tools/{tidy,bench}', 'tests']).map((root) => ({
      root,
      resolve: { conditions },
      ssr: { resolve: { conditions } },
      test: {
        name: JSON.parse(readFileSync(`${root}/package.json`, 'utf8')).name,
        include: ['src/**/*.test.ts', 'src/**/*.test.tsx'],
        environment: 'node',
        // Ends what hangs, not what is slow: mesh tests are dozens of real processes on whatever cores are left.
        testTimeout: 60_000,
        hookTimeout: 60_000,
      },
    })),
  },
})
