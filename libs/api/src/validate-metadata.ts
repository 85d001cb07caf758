import type { FieldError, KindDefinition } from './kind.ts'

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const QUALIFIED_NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/

/** Kinds whose names become one label of a host name. */
const LABEL_NAMED = new Set(['Namespace', 'Service'])

/** @see https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ */
const ANNOTATIONS_BYTES_MAX = 262_144

/**
 * Checks names, labels and annotations. Takes anything: metadata comes from a network or a file.
 * A missing name is fine where `generateName` is given.
 */
export function validateMetadata(definition: KindDefinition, metadata: unknown): FieldError[] {
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) {
    return [
      { path: 'metadata', message: metadata === undefined ? 'Required value' : 'Invalid value: must be an object' },
    ]
  }
  const { name, generateName, namespace, labels, annotations } = metadata as Record<string, unknown>
  return [
    ...nameErrors(definition, name, generateName),
    ...namespaceErrors(namespace),
    ...labelErrors(labels),
    ...annotationErrors(annotations),
  ]
}

function nameErrors(definition: KindDefinition, name: unknown, generateName: unknown): FieldError[] {
  if (name === undefined || name === null || name === '') {
    if (typeof generateName === 'string' && generateName !== '') return []
    return [{ path: 'metadata.name', message: 'Required value: name or generateName is required' }]
  }
  if (LABEL_NAMED.has(definition.kind)) return dnsLabel('metadata.name', name)
  if (typeof name === 'string' && name.length <= 253 && SUBDOMAIN.test(name)) return []
  return [{ path: 'metadata.name', message: `Invalid value: ${JSON.stringify(name)}: ${SUBDOMAIN_RULE}` }]
}

function namespaceErrors(namespace: unknown): FieldError[] {
  if (namespace === undefined || namespace === null || namespace === '') return []
  return dnsLabel('metadata.namespace', namespace)
}

function labelErrors(labels: unknown): FieldError[] {
  return entriesOf(labels, 'metadata.labels', (key, value) => {
    const path = `metadata.labels[${key}]`
    if (!isQualifiedKey(key)) return [{ path: 'metadata.labels', message: `Invalid value: "${key}": ${KEY_RULE}` }]
    if (typeof value !== 'string') return [{ path, message: notText(value) }]
    if (value.length <= 63 && LABEL_VALUE.test(value)) return []
    return [{ path, message: `Invalid value: ${JSON.stringify(value)}: ${LABEL_RULE}` }]
  })
}

function annotationErrors(annotations: unknown): FieldError[] {
  let bytes = 0
  const errors = entriesOf(annotations, 'metadata.annotations', (key, value) => {
    if (!isQualifiedKey(key.toLowerCase())) {
      return [{ path: 'metadata.annotations', message: `Invalid value: "${key}": ${KEY_RULE}` }]
    }
    if (typeof value !== 'string') return [{ path: `metadata.annotations[${key}]`, message: notText(value) }]
    bytes += key.length + Buffer.byteLength(value)
    return []
  })
  if (bytes <= ANNOTATIONS_BYTES_MAX) return errors
  return [
    ...errors,
    { path: 'metadata.annotations', message: `Too long: may not be more than ${ANNOTATIONS_BYTES_MAX} bytes` },
  ]
}

function entriesOf(map: unknown, path: string, judge: (key: string, value: unknown) => FieldError[]): FieldError[] {
  if (map === undefined || map === null) return []
  if (typeof map !== 'object' || Array.isArray(map)) return [{ path, message: 'Invalid value: must be an object' }]
  return Object.entries(map).flatMap(([key, value]) => judge(key, value))
}

/** `name` or `dns.prefix/name`. */
function isQualifiedKey(key: string): boolean {
  const [first = '', second, ...more] = key.split('/')
  if (more.length > 0) return false
  const name = second ?? first
  const prefix = second === undefined ? undefined : first
  if (prefix !== undefined && !(prefix.length <= 253 && SUBDOMAIN.test(prefix))) return false
  return name.length <= 63 && QUALIFIED_NAME.test(name)
}

function dnsLabel(path: string, value: unknown): FieldError[] {
  if (typeof value === 'string' && value.length <= 63 && LABEL.test(value)) return []
  return [{ path, message: `Invalid value: ${JSON.stringify(value)}: ${DNS_LABEL_RULE}` }]
}

function notText(value: unknown): string {
  const quoted = typeof value === 'object' ? '' : `: write "${value}" in quotes`
  return `Invalid value: ${JSON.stringify(value)}: must be of type string${quoted}`
}

const SUBDOMAIN_RULE =
  'a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "-" or ".", and must start and end with an alphanumeric character, at most 253 in all'
const DNS_LABEL_RULE =
  'a lowercase RFC 1123 label must consist of lower case alphanumeric characters or "-", and must start and end with an alphanumeric character, at most 63 in all'
const LABEL_RULE =
  'a valid label must be empty or consist of alphanumeric characters, "-", "_" or ".", start and end with an alphanumeric character, and be no more than 63 characters'
const KEY_RULE = 'a key is a name of at most 63 characters, with an optional DNS prefix and "/" before it'
