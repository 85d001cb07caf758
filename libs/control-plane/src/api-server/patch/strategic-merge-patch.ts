import { isJsonObject, type JsonObject } from '../body.ts'

/**
 * Lists that Kubernetes merges item by item, by the name of the list: the fields that may tell items apart, of which
 * the first that every item of the patch has is used. Other lists are replaced whole.
 */
const MERGE_KEYS: Readonly<Record<string, readonly string[]>> = {
  containers: ['name'],
  initContainers: ['name'],
  ephemeralContainers: ['name'],
  env: ['name'],
  volumes: ['name'],
  volumeMounts: ['mountPath'],
  imagePullSecrets: ['name'],
  // A container's ports, then a Service's.
  ports: ['containerPort', 'port'],
  hostAliases: ['ip'],
  conditions: ['type'],
  ownerReferences: ['uid'],
  secrets: ['name'],
}

/** Lists of plain values that are sets. */
const SETS = new Set(['finalizers'])

const ORDER = '$setElementOrder/'
const DELETE_VALUES = '$deleteFromPrimitiveList/'
const RETAIN_KEYS = '$retainKeys'
const DIRECTIVE = '$patch'

/**
 * Kubernetes' own patch, which kubectl uses for built-in kinds: a merge patch that also merges lists whose items have
 * keys. Pure; neither input is changed.
 * @see https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/
 */
export function strategicMergePatch(target: unknown, patch: unknown): unknown {
  if (!isJsonObject(patch)) return patch
  if (patch[DIRECTIVE] === 'replace') return without(patch, [DIRECTIVE])
  if (patch[DIRECTIVE] === 'delete') return {}
  const merged = new Map<string, unknown>(Object.entries(retained(isJsonObject(target) ? target : {}, patch)))
  for (const [field, value] of Object.entries(patch)) {
    if (field === DIRECTIVE || field === RETAIN_KEYS || field.startsWith(ORDER)) continue
    if (field.startsWith(DELETE_VALUES)) removeValues(merged, field.slice(DELETE_VALUES.length), value)
    else if (value === null) merged.delete(field)
    else merged.set(field, mergeField(field, merged.get(field), value, patch[ORDER + field]))
  }
  for (const field of Object.keys(patch)) {
    if (field.startsWith(ORDER)) reorder(merged, field.slice(ORDER.length), patch[field])
  }
  return Object.fromEntries(merged)
}

function mergeField(field: string, target: unknown, value: unknown, order: unknown): unknown {
  if (!Array.isArray(value)) return strategicMergePatch(target, value)
  const present = Array.isArray(target) ? target : []
  if (SETS.has(field)) return [...new Set([...present, ...value])]
  const orderItems = Array.isArray(order) ? order : []
  const key = mergeKey(field, [...value.filter((item) => !isReplace(item)), ...orderItems])
  return key === undefined ? value : mergeItems(key, present, value)
}

/** Undefined where the list is to be replaced whole. */
function mergeKey(field: string, items: readonly unknown[]): string | undefined {
  const candidates = Object.hasOwn(MERGE_KEYS, field) ? MERGE_KEYS[field]! : []
  return candidates.find((key) => items.every((item) => isJsonObject(item) && item[key] !== undefined))
}

function mergeItems(key: string, target: readonly unknown[], patch: readonly unknown[]): readonly unknown[] {
  if (patch.some(isReplace)) return patch.filter((item) => !isReplace(item))
  const result = [...target]
  for (const item of patch as readonly JsonObject[]) {
    const index = result.findIndex((candidate) => isJsonObject(candidate) && candidate[key] === item[key])
    if (item[DIRECTIVE] === 'delete') {
      if (index >= 0) result.splice(index, 1)
    } else if (index >= 0) {
      result[index] = strategicMergePatch(result[index], item)
    } else {
      result.push(strategicMergePatch({}, item))
    }
  }
  return result
}

function isReplace(item: unknown): boolean {
  return isJsonObject(item) && item[DIRECTIVE] === 'replace'
}

/** `$retainKeys` names what may stay: the rest of a union goes. */
function retained(target: JsonObject, patch: JsonObject): JsonObject {
  const keys = patch[RETAIN_KEYS]
  if (!Array.isArray(keys)) return target
  return without(
    target,
    Object.keys(target).filter((field) => !keys.includes(field)),
  )
}

function removeValues(merged: Map<string, unknown>, field: string, values: unknown): void {
  const list = merged.get(field)
  if (!Array.isArray(list) || !Array.isArray(values)) return
  merged.set(
    field,
    list.filter((item) => !values.includes(item)),
  )
}

/** Brings the named items into the order named; those that the patch does not know follow in their own. */
function reorder(merged: Map<string, unknown>, field: string, order: unknown): void {
  const list = merged.get(field)
  if (!Array.isArray(list) || !Array.isArray(order)) return
  const key = order.every(isJsonObject) ? mergeKey(field, order) : undefined
  const identify = (item: unknown) => (key !== undefined && isJsonObject(item) ? item[key] : item)
  const ranks = new Map(order.map((item, index) => [identify(item), index]))
  const rank = (item: unknown) => ranks.get(identify(item)) ?? order.length
  merged.set(
    field,
    list.toSorted((a, b) => rank(a) - rank(b)),
  )
}

function without(object: JsonObject, fields: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([field]) => !fields.includes(field)))
}
