/**
 * Bundles one app: run in its folder. Entry points are `src/main.ts(x)` and every `src/**\/*.worker.ts`.
 * Why a bundle: `ambient up` starts five processes, and one file with a compile cache starts in a third of the time of
 * some hundred modules (docs/decisions/0004-bundles.md).
 */
import { globSync, rmSync } from 'node:fs'
import http2 from 'node:http2'
import https from 'node:https'
import { builtinModules } from 'node:module'
import zlib from 'node:zlib'
import { type BuildOptions, build, type Plugin } from 'esbuild'

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
    plugins.onResolve({ filter: new RegExp(`^(node:)?(${builtinModules.join('|')})$`) }, ({ path, kind }) => {
      if (kind !== 'import-statement') return undefined
      return { path: path.replace(/^(node:)?/, 'node:'), namespace: 'lazy-builtin' }
    })
    plugins.onLoad({ filter: /./, namespace: 'lazy-builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)})`,
      loader: 'js',
    }))
  },
}

/**
 * Evaluated when the first of these exports is used: what most threads never come to use, and what is large.
 * `zlib` and `https` are what `ws` needs for compression and for addresses of its own dialling, `http2` is for simulated
 * workloads that speak it.
 */
const DEFERRED: Readonly<Record<string, readonly string[]>> = {
  re2js: ['RE2JS'],
  zlib: Object.keys(zlib),
  https: Object.keys(https),
  http2: Object.keys(http2),
}

const deferred: Plugin = {
  name: 'deferred modules',
  setup(plugins) {
    plugins.onResolve(
      { filter: new RegExp(`^(node:)?(${Object.keys(DEFERRED).join('|')})$`) },
      ({ path, namespace, kind }) =>
        namespace === 'deferred' || kind === 'dynamic-import'
          ? undefined
          : { path: path.replace(/^node:/, ''), namespace: 'deferred' },
    )
    plugins.onLoad({ filter: /./, namespace: 'deferred' }, ({ path }) => {
      const getters = DEFERRED[path]!.map((name) => `get ${name}() { return require(${JSON.stringify(path)}).${name} }`)
      return { contents: `module.exports = { ${getters.join(', ')} }`, loader: 'js', resolveDir: import.meta.dirname }
    })
  },
}

const options: BuildOptions = {
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
  plugins: [deferred, lazyBuiltins],
  logLevel: 'warning',
}

// One by one: code that two entry points share would be one chunk with all that either of them needs of the libraries,
// since files are told apart by what reaches them through a library's index.
await Promise.all(entryPoints.map((entryPoint) => build({ ...options, entryPoints: [entryPoint] })))
