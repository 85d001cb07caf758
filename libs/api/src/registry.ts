import { defineCatalog } from '@ambient-lab/std'
import type { KindDefinition } from './kind.ts'
import catalog from './kinds/_catalog.ts'
import { formatApiVersion, parseApiVersion } from './reference.ts'
import type { GroupVersionResource, Resource } from './resource.ts'

/** Where two groups share a name (`gateways`), the earlier one is meant; groups not named here follow by alphabet. */
const GROUP_ORDER = ['', 'apps', 'discovery.k8s.io', 'ambient.lab', 'gateway.networking.k8s.io']

/** Every kind, in the order in which a name that several share is resolved. */
export const KINDS: readonly KindDefinition[] = [...(catalog as readonly KindDefinition[])].sort(
  (a, b) => groupRank(a) - groupRank(b) || compare(a.group, b.group) || compare(a.kind, b.kind),
)

const BY_GROUP_KIND = defineCatalog(KINDS, ({ group, kind }) => `${group}/${kind}`)
const BY_GROUP_RESOURCE = defineCatalog(KINDS, ({ group, plural }) => `${group}/${plural}`)
const BY_NAME = indexNames()

/** @returns undefined when the kind is unknown, or known but not under this version */
export function findKind({ apiVersion, kind }: Pick<Resource, 'apiVersion' | 'kind'>): KindDefinition | undefined {
  const { group, version } = parseApiVersion(apiVersion)
  const definition = BY_GROUP_KIND.get(`${group}/${kind}`)
  return definition && versionsOf(definition).includes(version) ? definition : undefined
}

/** @returns undefined when the resource is unknown, or known but not under this version */
export function findKindByResource({ group, version, resource }: GroupVersionResource): KindDefinition | undefined {
  const definition = BY_GROUP_RESOURCE.get(`${group}/${resource}`)
  return definition && versionsOf(definition).includes(version) ? definition : undefined
}

/**
 * As a person types it: plural, singular, kind or short name in any case, with the group behind dots where that is
 * needed (`gateways.networking.istio.io`, `gateways.v1.networking.istio.io`).
 */
export function findKindByName(name: string): KindDefinition | undefined {
  const lower = name.toLowerCase()
  const known = BY_NAME.get(lower)
  if (known) return known
  const dot = lower.indexOf('.')
  if (dot < 0) return undefined
  const head = lower.slice(0, dot)
  const tail = lower.slice(dot + 1)
  return KINDS.find(
    (definition) =>
      namesOf(definition).includes(head) &&
      (tail === definition.group ||
        versionsOf(definition).some((version) => tail === `${version}.${definition.group}`)),
  )
}

/** The preferred version first. */
export function versionsOf(definition: Pick<KindDefinition, 'version' | 'otherVersions'>): readonly string[] {
  return [definition.version, ...(definition.otherVersions ?? [])]
}

export function apiVersionOf(definition: Pick<KindDefinition, 'group' | 'version'>): string {
  return formatApiVersion(definition.group, definition.version)
}

export function singularOf(definition: Pick<KindDefinition, 'kind' | 'singular'>): string {
  return definition.singular ?? definition.kind.toLowerCase()
}

/** `services`, `gateways.networking.istio.io`: what names the kind for certain. */
export function qualifiedName({ plural, group }: Pick<KindDefinition, 'plural' | 'group'>): string {
  return group === '' ? plural : `${plural}.${group}`
}

/** Every name that a person may type for the kind; the plural first. */
export function namesOf(definition: KindDefinition): readonly string[] {
  return [definition.plural, singularOf(definition), ...(definition.shortNames ?? [])]
}

/** Kinds of a category: `all`, `istio-io`, `ambient-lab`. */
export function kindsInCategory(category: string): readonly KindDefinition[] {
  return KINDS.filter(({ categories }) => categories?.includes(category))
}

function indexNames(): ReadonlyMap<string, KindDefinition> {
  const names = new Map<string, KindDefinition>()
  for (const definition of KINDS) {
    for (const name of namesOf(definition)) if (!names.has(name)) names.set(name, definition)
  }
  return names
}

function groupRank({ group }: KindDefinition): number {
  const rank = GROUP_ORDER.indexOf(group)
  return rank < 0 ? GROUP_ORDER.length : rank
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
