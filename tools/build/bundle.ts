/**
 * Bundles one app: run in its folder. Entry points are `src/main.ts(x)` and every `src/**\/*.worker.ts`.
 * Why a bundle: `ambient up` starts five processes, and one file with a compile cache starts in a third of the time of
 * some hundred modules (docs/decisions/0004-bundles.md).
 */
import { globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import http2 from 'node:http2'
import https from 'node:https'
import { builtinModules, isBuiltin } from 'node:module'
import { dirname } from 'node:path'
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
 * Evaluated when the first of these exports is used: what most threads never come to use, and what is large. Packages get files
 * of their own, so that nobody keeps their text either. `zlib` and `https` are what `ws` needs for compression and for
 * addresses of its own dialling, `http2` is for simulated workloads that speak it.
 */
const DEFERRED: Readonly<Record<string, readonly string[]>> = {
  re2js: ['RE2JS'],
  '@bufbuild/cel': ['celEnv', 'celMap', 'celUint', 'isCelError', 'isCelList', 'isCelMap', 'isCelUint', 'parse', 'plan'],
  zlib: Object.keys(zlib),
  https: Object.keys(https),
  http2: Object.keys(http2),
}

/**
 * Marks an import that is to be a `require`: a dynamic one is what gives a module a file of its own, but it answers later.
 * Of the same length, so that source maps stay right.
 */
const LOAD_NOW = '__loadNow'
const loadNow = (text: string) =>
  text.replace(/__loadNow\(import\(("[^"]+")\)\)/g, (whole, path) => `require(${path})`.padEnd(whole.length))

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
      const source = JSON.stringify(path)
      const load = isBuiltin(path) ? `require(${source})` : `${LOAD_NOW}(import(${source}))`
      const getters = DEFERRED[path]!.map((name) => `get ${name}() { return (loaded ??= ${load}).${name} }`)
      const contents = `let loaded; module.exports = { ${getters.join(', ')} }`
      return { contents, loader: 'js', resolveDir: import.meta.dirname }
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
  write: false,
  logLevel: 'warning',
}

// One by one: code that two entry points share would be one chunk with all that either of them needs of the libraries,
// since files are told apart by what reaches them through a library's index.
await Promise.all(
  entryPoints.map(async (entryPoint) => {
    const { outputFiles = [] } = await build({ ...options, entryPoints: [entryPoint] })
    for (const { path, contents, text } of outputFiles) {
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, path.endsWith('.js') ? loadNow(text) : contents)
    }
  }),
)
