/**
 * Bundles one app: run in its folder. Entry points are `src/main.ts(x)` and every `src/**\/*.worker.ts`.
 * Why a bundle: `ambient up` starts five processes, and one file with a compile cache starts in a third of the time of
 * some hundred modules (docs/decisions/0004-bundles.md).
 */
import { globSync, rmSync } from 'node:fs'
import { build, type Plugin } from 'esbuild'

const entryPoints = globSync(['src/main.{ts,tsx}', 'src/**/*.worker.ts'])
rmSync('dist', { recursive: true, force: true })

/**
 * A module of Node's that is imported is asked for every one of its exports, and some of those load what they are when they
 * are asked for: `node:http` has undici behind `WebSocket`, which is 16 MB and 90 modules for every thread that wanted
 * `createServer`. Taken as an object, nothing is asked for but what is used.
 */
const lazyBuiltins: Plugin = {
  name: 'lazy builtins',
  setup(plugins) {
    plugins.onResolve({ filter: /^(node:)?(http|fs|util)$/ }, ({ path }) => ({
      path: path.replace(/^(node:)?/, 'node:'),
      namespace: 'lazy-builtin',
    }))
    plugins.onLoad({ filter: /./, namespace: 'lazy-builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)})`,
      loader: 'js',
    }))
  },
}

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
  plugins: [lazyBuiltins],
  logLevel: 'warning',
})
