import { CodedError, errorMessage, MiB } from '@ambient-lab/std'
import type { ContainerFiles } from '../hosting/container-files.ts'
import { tarFiles } from './_tar.ts'

/** Unpacked. */
const BUNDLE_BYTES_MAX = 32 * MiB

/** What a container was given to decide by. */
export interface OpaBundle {
  /** A policy in WebAssembly, with its entry points, as `opa build --target wasm` makes it. */
  readonly wasm: Uint8Array
  /** The document `data` besides what rules make. */
  readonly data: Readonly<Record<string, unknown>>
}

/**
 * Reads the one bundle, or the `.wasm` and `.json` files, that a command line names. Rego as text is not read: that takes the
 * compiler of OPA.
 * @throws CodedError OPA_BUNDLE_INVALID
 */
export async function readOpaBundle(paths: readonly string[], files: ContainerFiles): Promise<OpaBundle> {
  const { gunzipSync } = await import('node:zlib') // an agent without such a pod has no need of it
  const gunzip: Gunzip = (bytes) => gunzipSync(bytes, { maxOutputLength: BUNDLE_BYTES_MAX })
  const found = paths.flatMap((path) => contents(path, files, gunzip))
  const policies = found.filter(({ path }) => path.endsWith('.wasm'))
  const [policy] = policies
  if (!policy) throw invalid(`no policy in WebAssembly in ${paths.join(', ') || 'the command line'}; ${HOW}`)
  if (policies.length > 1) throw invalid(`more than one policy: ${policies.map(({ path }) => path).join(', ')}`)
  const data = found.filter(({ path }) => path.endsWith('.json')).map(({ path, bytes }) => json(path, bytes))
  return { wasm: policy.bytes, data: Object.assign({}, ...data) }
}

const HOW = 'make one of Rego with `opa build --target wasm --entrypoint envoy/authz/allow policy.rego`'

type Gunzip = (bytes: Uint8Array) => Uint8Array

interface Found {
  readonly path: string
  readonly bytes: Uint8Array
}

/** A file, what a bundle contains, or every file of a folder. */
function contents(path: string, files: ContainerFiles, gunzip: Gunzip): Found[] {
  const file = files.read(path)
  if (file) return contentsOf(path, file, gunzip)
  const inside = files.below(path)
  if (inside.size === 0) throw invalid(`there is no file ${path}`)
  return [...inside].flatMap(([name, bytes]) => contentsOf(`${path.replace(/\/+$/, '')}/${name}`, bytes, gunzip))
}

function contentsOf(path: string, bytes: Uint8Array, gunzip: Gunzip): Found[] {
  return /\.(tar\.gz|tgz)$/.test(path) ? unpacked(path, bytes, gunzip) : [{ path, bytes }]
}

function unpacked(path: string, bytes: Uint8Array, gunzip: Gunzip): Found[] {
  try {
    const files = tarFiles(gunzip(bytes))
    return Array.from(files, ([name, content]) => ({ path: name, bytes: content })).filter(
      // Of the JSON files that a bundle may have, these are data; `.manifest` has no ending.
      ({ path: name }) => !name.endsWith('.json') || name === '/data.json',
    )
  } catch (error) {
    throw invalid(`${path}: ${errorMessage(error)}`)
  }
}

function json(path: string, bytes: Uint8Array): object {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (error) {
    throw invalid(`${path}: ${errorMessage(error)}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(`${path} is no object`)
  return value
}

function invalid(problem: string): CodedError {
  return new CodedError('OPA_BUNDLE_INVALID', `opa: ${problem}`)
}
