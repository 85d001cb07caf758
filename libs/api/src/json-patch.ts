import { CodedError } from '@ambient-lab/std'

export type JsonPatchOperation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string }
  | { readonly op: 'move' | 'copy'; readonly path: string; readonly from: string }

/** Copies of copies double: this bounds their sum, counted as JSON text. */
const COPIED_CHARACTERS_MAX = 3_145_728

type Container = Record<string, unknown> | unknown[]

/** A longer list is refused: each operation may copy a document. Kubernetes has the same bound. */
const OPERATIONS_MAX = 10_000

/**
 * RFC 6902: all operations in order, or none. The document is not changed.
 * @throws CodedError PATCH_INVALID when the patch itself is no JSON patch
 * @throws CodedError PATCH_FAILED when a path is missing or a test does not hold
 */
export function jsonPatch(document: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw invalid('a JSON patch is a list of operations')
  if (patch.length > OPERATIONS_MAX) throw invalid(`more than ${OPERATIONS_MAX} operations`)
  // A holder makes the whole document just one more member, so that path '' needs no case of its own.
  const holder = { root: structuredClone(document) }
  let copied = 0
  for (const operation of patch.map(checkOperation)) {
    if (operation.op === 'copy') copied += textLength(get(holder, ['root', ...parsePointer(operation.from)]))
    if (copied > COPIED_CHARACTERS_MAX) throw invalid(`copies more than ${COPIED_CHARACTERS_MAX} characters`)
    applyOperation(holder, operation)
  }
  return holder.root
}

function applyOperation(holder: Record<string, unknown>, operation: JsonPatchOperation): void {
  const path = ['root', ...parsePointer(operation.path)]
  switch (operation.op) {
    case 'add':
      add(holder, path, operation.value)
      break
    case 'remove':
      remove(holder, path)
      break
    case 'replace':
      remove(holder, path)
      add(holder, path, operation.value)
      break
    case 'test':
      if (!equal(get(holder, path), operation.value)) throw failed(`test at ${operation.path || '/'} does not hold`)
      break
    case 'copy':
      add(holder, path, structuredClone(get(holder, ['root', ...parsePointer(operation.from)])))
      break
    case 'move':
      if (operation.path.startsWith(`${operation.from}/`)) throw invalid('move into a child of itself')
      add(holder, path, remove(holder, ['root', ...parsePointer(operation.from)]))
      break
  }
}

function checkOperation(operation: unknown): JsonPatchOperation {
  if (typeof operation !== 'object' || operation === null) throw invalid('an operation is an object')
  const { op, path, from } = operation as Record<string, unknown>
  if (typeof path !== 'string') throw invalid('an operation needs a path')
  if (op === 'remove') return { op, path }
  if (op === 'move' || op === 'copy') {
    if (typeof from !== 'string') throw invalid(`${op} needs from`)
    return { op, path, from }
  }
  if (op !== 'add' && op !== 'replace' && op !== 'test') throw invalid(`unknown operation ${JSON.stringify(op)}`)
  if (!('value' in operation)) throw invalid(`${op} needs a value`)
  return { op, path, value: structuredClone(operation.value) }
}

/** RFC 6901; `~1` is a slash and `~0` a tilde. */
function parsePointer(pointer: string): string[] {
  if (pointer === '') return []
  if (!pointer.startsWith('/')) throw invalid(`path ${JSON.stringify(pointer)} does not start with /`)
  return pointer
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function parentOf(holder: Container, path: readonly string[]): { parent: Container; key: string } {
  let parent = holder
  for (const key of path.slice(0, -1)) {
    const next = member(parent, key, path)
    if (typeof next !== 'object' || next === null) throw missing(path)
    parent = next as Container
  }
  return { parent, key: path.at(-1)! }
}

function member(parent: Container, key: string, path: readonly string[]): unknown {
  if (Array.isArray(parent)) return parent[arrayIndex(key, parent.length - 1, path)]
  if (!Object.hasOwn(parent, key)) throw missing(path)
  return parent[key]
}

function get(holder: Container, path: readonly string[]): unknown {
  const { parent, key } = parentOf(holder, path)
  return member(parent, key, path)
}

function add(holder: Container, path: readonly string[], value: unknown): void {
  const { parent, key } = parentOf(holder, path)
  if (Array.isArray(parent)) {
    parent.splice(key === '-' ? parent.length : arrayIndex(key, parent.length, path), 0, value)
  } else {
    Object.defineProperty(parent, key, { value, enumerable: true, writable: true, configurable: true })
  }
}

function remove(holder: Container, path: readonly string[]): unknown {
  const { parent, key } = parentOf(holder, path)
  const value = member(parent, key, path)
  if (Array.isArray(parent)) parent.splice(Number(key), 1)
  else delete parent[key]
  return value
}

function textLength(value: unknown): number {
  return JSON.stringify(value)?.length ?? 0
}

function arrayIndex(key: string, max: number, path: readonly string[]): number {
  if (!/^(0|[1-9]\d*)$/.test(key) || Number(key) > max) throw missing(path)
  return Number(key)
}

function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const [left, right] = [Object.entries(a), Object.entries(b)]
  return (
    left.length === right.length &&
    left.every(([key, value]) => Object.hasOwn(b, key) && equal(value, (b as Record<string, unknown>)[key]))
  )
}

function missing(path: readonly string[]): CodedError {
  return failed(`there is nothing at /${path.slice(1).join('/')}`)
}

function failed(message: string): CodedError {
  return new CodedError('PATCH_FAILED', message, { origin: 'downstream' })
}

function invalid(message: string): CodedError {
  return new CodedError('PATCH_INVALID', message, { origin: 'downstream' })
}
