type Json = unknown
type JsonObject = Readonly<Record<string, Json>>

/** Fields that tell the items of a list apart, by the list's own name; the first set that every item has is used. */
const LIST_KEYS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  containers: [['name']],
  initContainers: [['name']],
  env: [['name']],
  volumes: [['name']],
  volumeMounts: [['mountPath']],
  imagePullSecrets: [['name']],
  ports: [
    ['containerPort', 'protocol'],
    ['port', 'protocol'],
  ],
  listeners: [['name']],
  conditions: [['type']],
  ownerReferences: [['uid']],
}

/**
 * What a server-side apply makes of an object: fields of `applied` win, lists with known keys (containers, ports, env)
 * are merged item by item, other lists are replaced whole, and what the same manager applied before (`previous`) and no
 * longer says is removed. Fields that others set stay. Pure.
 *
 * Kubernetes keeps owners by field; this keeps them by manager's last configuration, and the last one to apply a field
 * wins without a conflict.
 */
export function serverSideApply<T extends object>(current: T | undefined, applied: T, previous?: object): T {
  return mergeObject((current ?? {}) as JsonObject, applied as JsonObject, (previous ?? {}) as JsonObject) as T
}

function mergeValue(name: string, current: Json, applied: Json, previous: Json): Json {
  if (isObject(applied)) return mergeObject(asObject(current), applied, asObject(previous))
  if (Array.isArray(applied)) {
    const key = listKey(name, [applied, asArray(current)])
    if (key) return mergeList(key, asArray(current), applied, asArray(previous))
  }
  return applied
}

function mergeObject(current: JsonObject, applied: JsonObject, previous: JsonObject): JsonObject {
  const kept = Object.entries(current).filter(([name]) => name in applied || !(name in previous))
  const merged = new Map<string, Json>(kept)
  for (const [name, value] of Object.entries(applied)) {
    if (value === null) merged.delete(name)
    else merged.set(name, mergeValue(name, own(current, name), value, own(previous, name)))
  }
  return Object.fromEntries(merged)
}

function mergeList(
  keyOf: (item: Json) => string,
  current: readonly Json[],
  applied: readonly Json[],
  previous: readonly Json[],
): readonly Json[] {
  const [currentByKey, previousByKey] = [indexBy(current, keyOf), indexBy(previous, keyOf)]
  const appliedKeys = new Set(applied.map(keyOf))
  const others = current.filter((item) => !appliedKeys.has(keyOf(item)) && !previousByKey.has(keyOf(item)))
  const merged = applied.map((item) =>
    mergeValue('', currentByKey.get(keyOf(item)), item, previousByKey.get(keyOf(item))),
  )
  return [...merged, ...others]
}

/** How to tell the items of these lists apart, or undefined when the list is to be replaced whole. */
function listKey(name: string, lists: readonly (readonly Json[])[]): ((item: Json) => string) | undefined {
  const items = lists.flat()
  const fields = (Object.hasOwn(LIST_KEYS, name) ? LIST_KEYS[name]! : []).find((candidate) =>
    items.every((item) => isObject(item) && candidate.every((field) => keyField(item, field) !== undefined)),
  )
  if (!fields) return undefined
  return (item) => JSON.stringify(fields.map((field) => keyField(item as JsonObject, field)))
}

/** A port without a protocol is TCP, also before defaults are filled in. */
function keyField(item: JsonObject, field: string): Json {
  return own(item, field) ?? (field === 'protocol' ? 'TCP' : undefined)
}

function indexBy(items: readonly Json[], keyOf: (item: Json) => string): ReadonlyMap<string, Json> {
  return new Map(items.filter(isObject).map((item) => [keyOf(item), item]))
}

function own(object: JsonObject, name: string): Json {
  return Object.hasOwn(object, name) ? object[name] : undefined
}

function asObject(value: Json): JsonObject {
  return isObject(value) ? value : {}
}

function asArray(value: Json): readonly Json[] {
  return Array.isArray(value) ? value : []
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
