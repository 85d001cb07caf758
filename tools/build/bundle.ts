/**
 * Bundles one app: run in its folder. Entry points are `src/main.ts(x)` and every `src/**\/*.worker.ts`.
 * Why a bundle: `ambient up` starts five processes, and one file with a compile cache starts in a third of the time of
 * some hundred modules (docs/decisions/0004-bundles.md).
 */
import { globSync, rmSync } from 'node:fs'
import { build } from 'esbuild'

const entryPoints = globSync(['src/main.{ts,tsx}', 'src/**/*.worker.ts'])
rmSync('dist', { recursive: true, force: true })

await build({
  entryPoints,
  outdir: 'dist',
  outbase: 'src',
  bundle: true,
  splitting: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  conditions: ['@ambient-lab/source'],
  chunkNames: 'chunks/[name]-[hash]',
  sourcemap: 'linked',
  minifySyntax: true,
  minifyWhitespace: true,
  define: { 'process.env.NODE_ENV': '"production"', 'process.env.DEV': '"false"' },
  // Packages in CommonJS (ws, node-forge) call require for Node's own modules.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  // oidc-provider does not survive bundling: it loses extra claims. A lab that runs one reads it from node_modules.
  external: ['react-devtools-core', 'bufferutil', 'utf-8-validate', 'oidc-provider'],
  logLevel: 'warning',
})
