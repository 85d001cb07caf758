import { apiVersionOf, type KindDefinition, versionsOf } from '@ambient-lab/api'
import type { StoreType } from '../store/store.ts'
import type { Verb } from './router.ts'
import type { NamedResource } from './status-error.ts'

/** A kind under one of its versions, with what is often needed of it. */
export interface ServedKind {
  readonly definition: KindDefinition
  readonly type: StoreType
  readonly named: NamedResource
  /** The version of the path; objects are stored under `definition.version`. */
  readonly version: string
  /** `apps/v1`, of the path. */
  readonly apiVersion: string
  readonly namespaced: boolean
  readonly verbs: readonly Verb[]
}

const STORED_VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'] as const
const VIRTUAL_VERBS = ['get', 'list'] as const
const CREATE_ONLY_VERBS = ['create'] as const

export function storeTypeOf({ group, plural }: Pick<KindDefinition, 'group' | 'plural'>): StoreType {
  return `${group}/${plural}`
}

/** Every kind that the server answers for, under every version, found by the parts of a path. */
export class ServedKinds {
  readonly all: readonly ServedKind[]
  readonly #byPath: ReadonlyMap<string, ServedKind>

  constructor(definitions: readonly KindDefinition[], createOnly: ReadonlySet<string>) {
    this.all = definitions.flatMap((definition) =>
      versionsOf(definition).map((version) => serve(definition, version, createOnly)),
    )
    this.#byPath = new Map(this.all.map((kind) => [`${kind.apiVersion}/${kind.definition.plural}`, kind]))
  }

  find(group: string, version: string, resource: string): ServedKind | undefined {
    return this.#byPath.get(`${apiVersionOf({ group, version })}/${resource}`)
  }

  /** In the order in which groups are offered to clients: core first, then as the kinds came. */
  get groups(): readonly string[] {
    return [...new Set(this.all.map(({ definition }) => definition.group))]
  }

  /** The versions of a group, the preferred one first. */
  versions(group: string): readonly string[] {
    return [...new Set(this.all.filter(({ definition }) => definition.group === group).map(({ version }) => version))]
  }

  inVersion(group: string, version: string): readonly ServedKind[] {
    return this.all.filter((kind) => kind.definition.group === group && kind.version === version)
  }
}

function serve(definition: KindDefinition, version: string, createOnly: ReadonlySet<string>): ServedKind {
  const type = storeTypeOf(definition)
  return {
    definition,
    type,
    named: { group: definition.group, resource: definition.plural },
    version,
    apiVersion: apiVersionOf({ group: definition.group, version }),
    namespaced: definition.scope === 'Namespaced',
    verbs: createOnly.has(type) ? CREATE_ONLY_VERBS : definition.virtual ? VIRTUAL_VERBS : STORED_VERBS,
  }
}
