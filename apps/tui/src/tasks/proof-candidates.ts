import {
  type AuthorizationPolicy,
  type AuthorizationPolicyRule,
  objectKey,
  type PathReviewTarget,
  type Pod,
  type Service,
  USE_WAYPOINT,
} from '@ambient-lab/api'
import type { CapturedRequest } from './captured-call.ts'
import type { SocketPlace } from './captured-socket.ts'
import {
  boundWaypoint,
  type Enforcement,
  type EnforcementState,
  hasSidecar,
  isCaptured,
  isProxy,
  isSelectedBy,
  type SecurityPolicy,
  selectedPods,
  targetsOf,
} from './enforcement.ts'
import { isReady } from './pods.ts'

/** Somebody who can be made to call. */
export interface ProofCaller {
  readonly name: string
  readonly namespace: string
  readonly serviceAccount: string
  /** Of the mesh; others speak plaintext. */
  readonly captured: boolean
  readonly capture: SocketPlace
}

export interface ProofTarget {
  readonly review: PathReviewTarget
  /** As a program dials it. */
  readonly place: SocketPlace
  /** Requests, or connections whose bytes nobody reads. */
  readonly protocol: 'HTTP' | 'TCP'
}

const WAYPOINT_FOR = 'istio.io/waypoint-for'
const CALLERS_MAX = 8
const TARGETS_MAX = 3
const REQUESTS_MAX = 6
/** One that any policy may meet. */
export const PLAIN: CapturedRequest = { method: 'GET', path: '/', headers: {} }
/** No token that anybody signed. */
const BAD_TOKEN: CapturedRequest = { ...PLAIN, headers: { authorization: 'Bearer x.y.z' } }

/** One ready pod of each identity, and of each namespace one that speaks plaintext. */
export function callersOf(pods: readonly Pod[]): readonly ProofCaller[] {
  const found = new Map<string, ProofCaller>()
  for (const pod of pods.filter((one) => isReady(one) && !isProxy(one))) {
    const capture = pod.status?.ambientLab?.capture
    if (!capture) continue
    const { name, namespace = '' } = pod.metadata
    const serviceAccount = pod.spec?.serviceAccountName ?? 'default'
    // Whose connections say who it is.
    const captured = isCaptured(pod) || hasSidecar(pod)
    const key = `${namespace}/${serviceAccount}/${captured}`
    if (!found.has(key)) found.set(key, { name, namespace, serviceAccount, captured, capture })
  }
  // Whoever is outside the mesh is tried before the limit cuts the list.
  return [...found.values()].sort((a, b) => Number(a.captured) - Number(b.captured)).slice(0, CALLERS_MAX)
}

/** What the policy guards: services and pods behind its waypoints, services with sidecars, or pods behind ztunnel. */
export function proofTargets(
  policy: SecurityPolicy,
  { enforcedAt }: Enforcement,
  state: EnforcementState,
): readonly ProofTarget[] {
  if (targetsOf(policy).length === 0)
    return [...sidecarTargets(policy, state), ...podTargets(policy, state)].slice(0, TARGETS_MAX)
  const services = guardedServices(policy, { enforcedAt }, state).flatMap(serviceTarget)
  return [...services, ...guardedPods(policy, { enforcedAt }, state)].slice(0, TARGETS_MAX)
}

/** Services that a policy with targets is about. */
export function guardedServices(
  policy: SecurityPolicy,
  { enforcedAt }: Pick<Enforcement, 'enforcedAt'>,
  state: EnforcementState,
): readonly Service[] {
  const targets = targetsOf(policy)
  const { namespace } = policy.metadata
  const named = targets.filter(({ kind }) => kind === 'Service').map(({ name }) => `${namespace}/${name}`)
  const isWhole = targets.some(({ kind }) => kind === 'Gateway' || kind === 'GatewayClass')
  const isMeant = (service: Service) =>
    named.includes(objectKey(service.metadata)) ||
    (isWhole && boundWaypoint(service) !== undefined && isAt(boundWaypoint(service)!, enforcedAt))
  return state.services.filter(isMeant)
}

/**
 * Pods whose own addresses a waypoint for workloads may stand before. Whether it does, the proxies say when they are
 * asked: labels of namespaces are not looked at here.
 */
function guardedPods(
  policy: SecurityPolicy,
  { enforcedAt }: Pick<Enforcement, 'enforcedAt'>,
  { gateways, pods, services }: EnforcementState,
): ProofTarget[] {
  if (!targetsOf(policy).some(({ kind }) => kind === 'Gateway' || kind === 'GatewayClass')) return []
  const waypoints = gateways.filter(
    ({ metadata }) =>
      isAt(objectKey(metadata), enforcedAt) && ['workload', 'all'].includes(metadata.labels?.[WAYPOINT_FOR] ?? ''),
  )
  const isMeant = ({ metadata: { labels = {}, namespace } }: Pod) =>
    waypoints.some(({ metadata: waypoint }) => {
      return labels[USE_WAYPOINT] === waypoint.name || (!labels[USE_WAYPOINT] && namespace === waypoint.namespace)
    })
  return servingPods(
    pods.filter((pod) => !isProxy(pod) && isCaptured(pod) && isMeant(pod)),
    services,
  ).map((pod) => podTarget(pod, [], 'HTTP'))
}

function isAt(waypoint: string, places: readonly string[]): boolean {
  return places.some((place) => place === waypoint || place.startsWith('gatewayclass/'))
}

function serviceTarget({ metadata, spec }: Service): ProofTarget[] {
  const port = spec?.ports?.[0]?.port
  if (port === undefined) return []
  const { name, namespace = 'default' } = metadata
  const review: PathReviewTarget = { kind: 'Service', name, namespace, port }
  return [{ review, place: { host: `${name}.${namespace}`, port }, protocol: 'HTTP' }]
}

/** Sidecars read requests, of whoever calls their services. */
function sidecarTargets(policy: SecurityPolicy, { pods, services }: EnforcementState): ProofTarget[] {
  const guarded = selectedPods(policy, pods).filter((pod) => isReady(pod) && hasSidecar(pod))
  return services.filter((service) => guarded.some((pod) => isSelectedBy(pod, service))).flatMap(serviceTarget)
}

/** At ports that the policy names, where it names some. */
function podTargets(policy: SecurityPolicy, { pods, services }: EnforcementState): ProofTarget[] {
  const named = policy.kind === 'AuthorizationPolicy' ? portsOf(policy as AuthorizationPolicy) : []
  return servingPods(selectedPods(policy, pods), services)
    .slice(0, TARGETS_MAX)
    .map((pod) => podTarget(pod, named, 'TCP'))
}

/** Those that can be dialled, those that a service sends somebody to first. */
function servingPods(pods: readonly Pod[], services: readonly Service[]): Pod[] {
  return pods
    .filter(
      (pod) =>
        !hasSidecar(pod) &&
        isReady(pod) &&
        pod.status?.podIP &&
        Object.keys(pod.status.ambientLab?.ports ?? {}).length > 0,
    )
    .sort((a, b) => Number(isServed(b, services)) - Number(isServed(a, services)))
}

/** @param preferred ports that tell most */
function podTarget(
  { metadata: { name, namespace = 'default' }, status }: Pod,
  preferred: readonly string[],
  protocol: ProofTarget['protocol'],
): ProofTarget {
  const ports = Object.keys(status!.ambientLab!.ports!)
  const port = Number(ports.find((one) => preferred.includes(one)) ?? ports[0])
  return { review: { kind: 'Pod', name, namespace, port }, place: { host: status!.podIP!, port }, protocol }
}

/** Pods that somebody calls tell more than those that only call. */
function isServed(pod: Pod, services: readonly Service[]): boolean {
  return services.some((service) => isSelectedBy(pod, service))
}

function portsOf({ spec }: AuthorizationPolicy): string[] {
  return rulesOf(spec?.rules).flatMap(({ to = [] }) => to.flatMap(({ operation = {} }) => operation.ports ?? []))
}

function rulesOf(rules: readonly AuthorizationPolicyRule[] = []): readonly AuthorizationPolicyRule[] {
  return rules
}

/** Requests that the policy speaks of, and one that any policy may meet. */
export function proofRequests(policy: SecurityPolicy): readonly CapturedRequest[] {
  if (policy.kind === 'RequestAuthentication') return [BAD_TOKEN]
  if (policy.kind === 'PeerAuthentication') return [PLAIN]
  const spoken = rulesOf((policy as AuthorizationPolicy).spec?.rules).flatMap(requestsOfRule)
  const requests = [...spoken, PLAIN, { ...PLAIN, method: 'POST' }]
  const distinct = new Map(requests.map((request) => [JSON.stringify(request), request]))
  return [...distinct.values()].slice(0, REQUESTS_MAX)
}

function requestsOfRule({ to = [], when = [] }: AuthorizationPolicyRule): CapturedRequest[] {
  const headers = Object.fromEntries(
    when.flatMap(({ key, values = [] }) => {
      const name = /^request\.headers\[(.+)\]$/.exec(key)?.[1]
      return name === undefined || values.length === 0 ? [] : [[name.toLowerCase(), sampleOf(values[0]!, 'x')]]
    }),
  )
  if (to.length === 0) return [{ ...PLAIN, headers }]
  return to.map(({ operation: { methods = [], paths = [], hosts = [] } = {} }) => ({
    method: sampleOf(methods[0] ?? 'GET', 'GET'),
    path: pathOf(paths[0] ?? '/'),
    headers: { ...headers, ...(hosts[0] !== undefined && { host: sampleOf(hosts[0], 'a') }) },
  }))
}

/** A value that the pattern fits: exact, a beginning, an end, or anything. */
export function sampleOf(pattern: string, anything: string): string {
  return pattern === '*' ? anything : pattern.replace(/^\*|\*$/, '')
}

/** The same for a path, in which `{*}` and `{**}` are segments. */
export function pathOf(pattern: string): string {
  const path = sampleOf(pattern.replace(/\{\*{1,2}\}/g, 'x'), '/')
  return path.startsWith('/') ? path : `/${path}`
}

/** Whether a rule of a policy that nobody enforces is about the caller, where that needs no matching but of names. */
export function isAboutCaller({ from = [] }: AuthorizationPolicyRule, caller: ProofCaller, namespace: string): boolean {
  const { serviceAccount, namespace: own, captured } = caller
  if (from.length === 0) return true
  const accounts = [serviceAccount, `${own}/${serviceAccount}`].slice(own === namespace ? 0 : 1)
  return from.some(({ source = {} }) => {
    const fields = Object.keys(source)
    if (!captured || fields.length !== 1) return false
    return (
      source.principals?.some((name) => name === '*' || name.endsWith(`/ns/${own}/sa/${serviceAccount}`)) ||
      source.namespaces?.includes(own) ||
      source.serviceAccounts?.some((name) => accounts.includes(name)) ||
      false
    )
  })
}
