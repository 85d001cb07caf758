import serviceKind, { type Service } from '../kinds/service.ts'
import serviceEntryKind, { type ServiceEntry } from '../kinds/service-entry.ts'
import type { Resource } from '../resource.ts'
import type { AnalysisWorld } from './analysis-world.ts'

/** `reviews` → `reviews.shop.svc.cluster.local`; a name with dots, or a wildcard, is whole already. */
export function wholeHost(host: string, namespace: string, { settings }: AnalysisWorld): string {
  return host.includes('.') || host === '*' ? host : `${host}.${namespace}.svc.${settings.clusterDomain}`
}

/** Whether a host, which may begin with `*`, stands for another one. */
export function hostCovers(wide: string, host: string): boolean {
  if (wide === host || wide === '*') return true
  return wide.startsWith('*') && host.endsWith(wide.slice(1))
}

/** Whether two hosts have a name in common. */
export function hostsMeet(a: string, b: string): boolean {
  return hostCovers(a, b) || hostCovers(b, a)
}

/** Who sees a namespaced object: its own `exportTo`, `.` for its namespace, `*` for all; none: all. */
export function isExportedTo(exportTo: readonly string[] | undefined, own: string, namespace: string): boolean {
  if (!exportTo || exportTo.length === 0) return true
  return exportTo.some((scope) => scope === '*' || (scope === '.' ? own : scope) === namespace)
}

/** A service that a host names, with its ports. */
export interface KnownHost {
  readonly object: Service | ServiceEntry
  readonly ports: readonly { readonly port: number; readonly name?: string; readonly protocol?: string }[]
}

const EXPORT_TO = 'networking.istio.io/exportTo'

/** The service or entry that a host means to somebody in `namespace`; undefined: nobody has it. */
export function findHost(world: AnalysisWorld, host: string, namespace: string): KnownHost | undefined {
  const whole = wholeHost(host, namespace, world)
  const service = serviceOf(world, whole)
  if (service && isVisible(service, namespace)) {
    return { object: service, ports: service.spec?.ports ?? [] }
  }
  const entry = world
    .list(serviceEntryKind)
    .find(
      ({ metadata, spec }) =>
        isExportedTo(spec?.exportTo, metadata.namespace ?? '', namespace) &&
        (spec?.hosts ?? []).some((known) => hostCovers(known, host) || hostCovers(known, whole)),
    )
  return (
    entry && {
      object: entry,
      ports: (entry.spec?.ports ?? []).map(({ number, ...rest }) => ({ ...rest, port: number })),
    }
  )
}

/** Of a whole host, or of the short forms `name.namespace` and `name.namespace.svc`. */
export function serviceOf(world: AnalysisWorld, whole: string): Service | undefined {
  const [name = '', namespace, ...rest] = whole.split('.')
  const suffix = rest.join('.')
  if (suffix !== '' && suffix !== 'svc' && suffix !== `svc.${world.settings.clusterDomain}`) return undefined
  return world.get(serviceKind, namespace, name)
}

function isVisible({ metadata }: Service, namespace: string): boolean {
  const scopes = metadata.annotations?.[EXPORT_TO]?.split(',').map((scope) => scope.trim())
  return isExportedTo(scopes, metadata.namespace ?? '', namespace)
}

/** Whether somebody sees both of two objects with an `exportTo`. */
export function shareViewers(a: Exported, b: Exported): boolean {
  const [left, right] = [scopesOf(a), scopesOf(b)]
  return left.includes('*') || right.includes('*') || left.some((scope) => right.includes(scope))
}

type Exported = Resource<{ readonly exportTo?: readonly string[] }>

function scopesOf({ metadata, spec }: Exported): readonly string[] {
  const scopes = spec?.exportTo ?? []
  return scopes.length === 0 ? ['*'] : scopes.map((scope) => (scope === '.' ? (metadata.namespace ?? '') : scope))
}
