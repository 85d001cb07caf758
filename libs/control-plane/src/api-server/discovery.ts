import { singularOf } from '@ambient-lab/api'
import type { Reply } from './api-request.ts'
import { SCALABLE } from './handlers/scale.ts'
import type { ApiServerHooks } from './hooks.ts'
import type { Route } from './router.ts'
import type { ServedKind, ServedKinds } from './served-kinds.ts'
import { unknownPath } from './status-error.ts'
import type { Accepted } from './table/negotiation.ts'

/** The Kubernetes release whose protocol we speak, for clients that compare versions; our own follows it. */
const KUBERNETES = { major: '1', minor: '32' } as const

interface Subresource {
  readonly name: string
  readonly group: string
  readonly version: string
  readonly kind: string
  readonly verbs: readonly string[]
}

/** Tells clients what there is. Everything is fixed at start, so each document is written once. */
export class Discovery {
  readonly #kinds: ServedKinds
  readonly #hooks: ApiServerHooks
  readonly #version: string
  readonly #documents = new Map<string, string>()

  constructor(kinds: ServedKinds, hooks: ApiServerHooks, version: string) {
    this.#kinds = kinds
    this.#hooks = hooks
    this.#version = version
  }

  /** @throws StatusError 404 */
  answer(route: Extract<Route, { type: 'groups' | 'group' | 'resources' }>, accepted: Accepted): Reply {
    const aggregated = route.type === 'groups' ? accepted.discoveryVersion : undefined
    const key = JSON.stringify([route, aggregated])
    const body = this.#documents.get(key) ?? JSON.stringify(this.#document(route, aggregated))
    this.#documents.set(key, body)
    return { status: 200, body, ...(aggregated && { contentType: accepted.mediaType }) }
  }

  /** Version and health; undefined when the path is none of these. */
  answerPlain(path: string): Reply | undefined {
    switch (path) {
      case '/':
        return json({ paths: ['/api', '/apis', '/healthz', '/livez', '/openapi/v3', '/readyz', '/version'] })
      case '/version':
        return json(this.#versionInfo())
      case '/healthz':
      case '/livez':
        return { status: 200, body: 'ok', contentType: 'text/plain; charset=utf-8' }
      case '/readyz':
        return this.#readiness()
      default:
        return undefined
    }
  }

  #readiness(): Reply {
    const missing = this.#hooks.notReady?.()
    const contentType = 'text/plain; charset=utf-8'
    if (missing === undefined) return { status: 200, body: 'ok', contentType }
    return { status: 503, body: `[-]${missing} not ready\nreadyz check failed\n`, contentType }
  }

  #versionInfo() {
    const { platform, arch, version } = process
    return {
      ...KUBERNETES,
      gitVersion: `v${KUBERNETES.major}.${KUBERNETES.minor}.0+ambient-lab.${this.#version}`,
      gitCommit: '',
      gitTreeState: 'clean',
      buildDate: '1970-01-01T00:00:00Z',
      goVersion: `node ${version}`,
      compiler: 'node',
      platform: `${platform}/${arch}`,
    }
  }

  #document(
    route: Extract<Route, { type: 'groups' | 'group' | 'resources' }>,
    aggregated: 'v2' | 'v2beta1' | undefined,
  ): object {
    if (route.type === 'resources') return this.#resourceList(route.group, route.version)
    if (route.type === 'group') return { kind: 'APIGroup', apiVersion: 'v1', ...this.#group(route.group) }
    if (aggregated) return this.#aggregated(route.root, aggregated)
    if (route.root === 'api') return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] }
    const groups = this.#kinds.groups.filter((group) => group !== '').map((group) => this.#group(group))
    return { kind: 'APIGroupList', apiVersion: 'v1', groups }
  }

  #group(group: string) {
    const versions = this.#kinds.versions(group).map((version) => ({ groupVersion: `${group}/${version}`, version }))
    if (versions.length === 0) throw unknownPath()
    return { name: group, versions, preferredVersion: versions[0] }
  }

  #resourceList(group: string, version: string) {
    const kinds = this.#kinds.inVersion(group, version)
    if (kinds.length === 0) throw unknownPath()
    const resources = kinds.flatMap((kind) => [
      apiResource(kind),
      ...this.#subresources(kind).map((subresource) => ({
        name: `${kind.definition.plural}/${subresource.name}`,
        singularName: '',
        namespaced: kind.namespaced,
        group: subresource.group,
        version: subresource.version,
        kind: subresource.kind,
        verbs: subresource.verbs,
      })),
    ])
    return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: kinds[0]!.apiVersion, resources }
  }

  /** One document instead of one for each version: what kubectl and k9s ask for first. */
  #aggregated(root: 'api' | 'apis', discoveryVersion: 'v2' | 'v2beta1') {
    const groups = this.#kinds.groups.filter((group) => (group === '') === (root === 'api'))
    const items = groups.map((group) => ({
      metadata: group === '' ? { creationTimestamp: null } : { name: group, creationTimestamp: null },
      versions: this.#kinds.versions(group).map((version) => ({
        version,
        freshness: 'Current',
        resources: this.#kinds.inVersion(group, version).map((kind) => this.#aggregatedResource(kind)),
      })),
    }))
    const apiVersion = `apidiscovery.k8s.io/${discoveryVersion}`
    return { kind: 'APIGroupDiscoveryList', apiVersion, metadata: {}, items }
  }

  #aggregatedResource(kind: ServedKind) {
    const { definition, namespaced, verbs } = kind
    const { plural, shortNames, categories } = definition
    const subresources = this.#subresources(kind).map(({ name, verbs, ...responseKind }) => ({
      subresource: name,
      responseKind,
      verbs,
    }))
    return {
      resource: plural,
      responseKind: { group: definition.group, version: kind.version, kind: definition.kind },
      scope: namespaced ? 'Namespaced' : 'Cluster',
      singularResource: singularOf(definition),
      verbs,
      ...(shortNames && { shortNames }),
      ...(categories && { categories }),
      ...(subresources.length > 0 && { subresources }),
    }
  }

  #subresources({ definition, type, version, verbs }: ServedKind): readonly Subresource[] {
    const own = { group: definition.group, version, kind: definition.kind }
    const plugged = Object.keys(this.#hooks.subresources ?? {})
      .filter((name) => name.startsWith(`${type}/`))
      .map((name) => ({ name: name.slice(type.length + 1), ...own, verbs: ['get'] }))
    if (!verbs.includes('update')) return plugged
    const access = ['get', 'patch', 'update']
    const scale = { name: 'scale', group: 'autoscaling', version: 'v1', kind: 'Scale', verbs: access }
    return [
      ...(definition.statusSubresource === false ? [] : [{ name: 'status', ...own, verbs: access }]),
      ...(SCALABLE.has(type) ? [scale] : []),
      ...plugged,
    ]
  }
}

function apiResource({ definition, namespaced, verbs }: ServedKind) {
  const { plural, kind, shortNames, categories } = definition
  return {
    name: plural,
    singularName: singularOf(definition),
    namespaced,
    kind,
    verbs,
    ...(shortNames && { shortNames }),
    ...(categories && { categories }),
  }
}

function json(value: object): Reply {
  return { status: 200, body: JSON.stringify(value) }
}
