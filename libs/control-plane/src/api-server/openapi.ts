import type { JsonSchema } from '@ambient-lab/api'
import type { Reply } from './api-request.ts'
import type { ServedKind, ServedKinds } from './served-kinds.ts'

const ROOT = '/openapi/v3'
const META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta'

/** Metadata as `kubectl explain` shows it; checked by validateMetadata, not by this. */
const OBJECT_META: JsonSchema = {
  type: 'object',
  description: 'Standard metadata of every object.',
  properties: {
    name: { type: 'string', description: 'Unique within the namespace; cannot be changed.' },
    generateName: { type: 'string', description: 'Prefix of a name that the server makes when none is given.' },
    namespace: { type: 'string', description: 'Empty for objects of the whole cluster.' },
    labels: { type: 'object', additionalProperties: { type: 'string' }, description: 'What selectors match.' },
    annotations: { type: 'object', additionalProperties: { type: 'string' }, description: 'Notes for tools.' },
    uid: { type: 'string', description: 'Set by the server; tells two lives of one name apart.' },
    resourceVersion: { type: 'string', description: 'Set by the server; changes with every write.' },
    generation: { type: 'integer', description: 'Set by the server; grows when the spec changes.' },
    creationTimestamp: { type: 'string', format: 'date-time', description: 'Set by the server.' },
    deletionTimestamp: { type: 'string', format: 'date-time', description: 'Set by the server on deletion.' },
    finalizers: { type: 'array', items: { type: 'string' }, description: 'What must happen before it is removed.' },
    ownerReferences: {
      type: 'array',
      items: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      description: 'What this object goes away with.',
    },
  },
}

/**
 * The schemas of all kinds as OpenAPI v3, one document a group and version, written when first asked for. kubectl reads
 * it for `explain`, and before an apply to learn that the server itself reports unknown fields.
 */
export class OpenApi {
  readonly #kinds: ServedKinds
  readonly #version: string
  readonly #documents = new Map<string, string>()

  constructor(kinds: ServedKinds, version: string) {
    this.#kinds = kinds
    this.#version = version
  }

  answer(path: string): Reply | undefined {
    if (path === ROOT) return { status: 200, body: JSON.stringify(this.#index()) }
    if (!path.startsWith(`${ROOT}/`)) return undefined
    const groupPath = path.slice(ROOT.length + 1)
    const body = this.#documents.get(groupPath) ?? this.#write(groupPath)
    return body === undefined ? undefined : { status: 200, body }
  }

  #index() {
    const paths = this.#groupVersions().map(({ group, version }) => {
      const groupPath = groupPathOf(group, version)
      // The hash lets clients cache for ever; ours changes with the program.
      return [groupPath, { serverRelativeURL: `${ROOT}/${groupPath}?hash=${this.#version}` }]
    })
    return { paths: Object.fromEntries(paths) }
  }

  #groupVersions() {
    return this.#kinds.groups.flatMap((group) => this.#kinds.versions(group).map((version) => ({ group, version })))
  }

  #write(groupPath: string): string | undefined {
    const found = this.#groupVersions().find(({ group, version }) => groupPathOf(group, version) === groupPath)
    if (!found) return undefined
    const body = JSON.stringify(this.#document(this.#kinds.inVersion(found.group, found.version)))
    this.#documents.set(groupPath, body)
    return body
  }

  #document(kinds: readonly ServedKind[]) {
    return {
      openapi: '3.0.0',
      info: { title: 'Ambient Lab', version: this.#version },
      paths: Object.fromEntries(kinds.flatMap(pathsOf)),
      components: {
        schemas: {
          [META]: OBJECT_META,
          ...Object.fromEntries(kinds.map((kind) => [schemaName(kind), schemaOf(kind)])),
        },
      },
    }
  }
}

function groupPathOf(group: string, version: string): string {
  return group === '' ? `api/${version}` : `apis/${group}/${version}`
}

function groupVersionKind({ definition, version }: ServedKind) {
  return { group: definition.group, version, kind: definition.kind }
}

function schemaName({ definition, version }: ServedKind): string {
  const group = definition.group === '' ? 'core' : definition.group
  return [...group.split('.').reverse(), version, definition.kind].join('.')
}

function schemaOf(kind: ServedKind) {
  const { schema } = kind.definition
  return {
    ...schema,
    properties: {
      apiVersion: { type: 'string', description: `Always ${kind.apiVersion}.` },
      kind: { type: 'string', description: `Always ${kind.definition.kind}.` },
      metadata: { allOf: [{ $ref: `#/components/schemas/${META}` }], default: {}, description: 'Standard metadata.' },
      ...schema.properties,
    },
    'x-kubernetes-group-version-kind': [groupVersionKind(kind)],
  }
}

/** The paths of one kind, with no more of each operation than clients look for. */
function pathsOf(kind: ServedKind): [string, object][] {
  const { definition, version, namespaced, verbs } = kind
  const base = `/${groupPathOf(definition.group, version)}${namespaced ? '/namespaces/{namespace}' : ''}/${definition.plural}`
  const schema = { $ref: `#/components/schemas/${schemaName(kind)}` }
  const content = { 'application/json': { schema } }
  const operation = (action: string, parameters: readonly string[]) => ({
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': groupVersionKind(kind),
    parameters: parameters.map((name) => ({ name, in: 'query', schema: { type: 'string' } })),
    responses: { 200: { description: 'OK', content } },
  })
  const write = ['dryRun', 'fieldManager', 'fieldValidation']
  const collection = {
    ...(verbs.includes('list') && { get: operation('list', ['labelSelector', 'fieldSelector', 'limit', 'continue']) }),
    ...(verbs.includes('create') && { post: { ...operation('post', write), requestBody: { content } } }),
  }
  const single = {
    ...(verbs.includes('get') && { get: operation('get', []) }),
    ...(verbs.includes('update') && { put: { ...operation('put', write), requestBody: { content } } }),
    // Nothing that can only be created is patched: but kubectl looks here, and nowhere else, to learn whether the server
    // reports unknown fields by itself.
    ...((verbs.includes('patch') || verbs.includes('create')) && {
      patch: { ...operation('patch', [...write, 'force']), requestBody: { content: PATCHES } },
    }),
    ...(verbs.includes('delete') && { delete: operation('delete', ['dryRun', 'propagationPolicy']) }),
  }
  return [
    [base, collection],
    ...(Object.keys(single).length > 0 ? [[`${base}/{name}`, single] as [string, object]] : []),
  ]
}

/** The strategic one is left out: kubectl then makes it from its own knowledge of the built-in kinds. */
const PATCHES = Object.fromEntries(
  ['application/json-patch+json', 'application/merge-patch+json', 'application/apply-patch+yaml'].map((type) => [
    type,
    { schema: { type: 'object' } },
  ]),
)
