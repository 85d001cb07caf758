import {
  type AuthorizationPolicy,
  type Condition,
  GATEWAY_NAME_LABEL,
  type Gateway,
  getCondition,
  type HttpRoute,
  isConditionTrue,
  matchesEvery,
  objectKey,
  type PeerAuthentication,
  type Pod,
  type PolicyTargetReference,
  REDIRECTION_ANNOTATION,
  type RequestAuthentication,
  type Resource,
  type Service,
} from '@ambient-lab/api'

export type SecurityPolicy = AuthorizationPolicy | PeerAuthentication | RequestAuthentication

/** What the lab holds that decides where a policy is enforced. */
export interface EnforcementState {
  readonly policies: readonly SecurityPolicy[]
  readonly pods: readonly Pod[]
  readonly services: readonly Service[]
  readonly serviceEntries: readonly Resource[]
  readonly gateways: readonly Gateway[]
  readonly routes: readonly HttpRoute[]
}

export type EnforcedState = 'ok' | 'PARTLY' | 'NOT ENFORCED'

/** Who enforces one policy, by what the control plane says of it. */
export interface Enforcement {
  readonly state: EnforcedState
  /** `ztunnel`, `sidecar`, or waypoints as `namespace/name`; empty: nobody. */
  readonly enforcedAt: readonly string[]
  /** Finding code of `analyze`, where there is one for it. */
  readonly code?: string
  /** Why it is not, or not wholly, enforced; or what to know about it. */
  readonly note?: string
}

/** Istio's default; a policy there without selector is the mesh's. */
export const ROOT_NAMESPACE = 'istio-system'
const GATEWAY_GROUP = 'gateway.networking.k8s.io'

export const KIND_SHORT = {
  AuthorizationPolicy: 'AP',
  PeerAuthentication: 'PA',
  RequestAuthentication: 'RA',
} as const

/** By the conditions of policies, services and gateways, and by who is in the mesh. Pure. */
export function enforcementOf(policy: SecurityPolicy, state: EnforcementState): Enforcement {
  const asked = askedOf(policy, state)
  const idle = policy.kind === 'AuthorizationPolicy' && asked.enforcedAt.length > 0 ? idleNote(policy) : undefined
  return idle === undefined ? asked : nobody(`${asked.enforcedAt.join(', ')} ${idle}`)
}

/** Of a policy that is asked and stops nothing; undefined: it decides. */
function idleNote({ metadata, spec }: AuthorizationPolicy): string | undefined {
  if (/^(1|t|true)$/i.test(metadata.annotations?.['istio.io/dry-run'] ?? '')) {
    return 'asks it in dry run: what it would do is noted, and not done'
  }
  if (spec?.action !== 'AUDIT') return undefined
  return 'marks what it matches for the access log: without a plugin nobody acts on that'
}

/** Who asks the policy about what comes. */
function askedOf(policy: SecurityPolicy, state: EnforcementState): Enforcement {
  const targets = targetsOf(policy)
  if (targets.length > 0) return atWaypoints(policy, targets, state)
  const { pods } = state
  if (!selectedPods(policy, pods).some(hasSidecar)) return atZtunnel(policy, state)
  const shadow = policy.kind === 'PeerAuthentication' ? shadowedBy(policy, state) : undefined
  return (
    shadow ?? withSidecars(atZtunnel(policy, { ...state, pods: pods.filter((pod) => !hasSidecar(pod)) }), policy, pods)
  )
}

/** Sidecars enforce all of it; what ztunnel has to say is of the pods beside them. */
function withSidecars(others: Enforcement, policy: SecurityPolicy, pods: readonly Pod[]): Enforcement {
  const enforcedAt = ['sidecar', ...others.enforcedAt]
  const areAll = selectedPods(policy, pods).every(hasSidecar)
  if (areAll) return { state: 'ok', enforcedAt: ['sidecar'] }
  return { ...others, state: others.state === 'ok' ? 'ok' : 'PARTLY', enforcedAt }
}

function atZtunnel(policy: SecurityPolicy, state: EnforcementState): Enforcement {
  if (policy.kind === 'RequestAuthentication') {
    return nobody('no targetRefs: ztunnel reads no tokens, and waypoints look at their own policies only')
  }
  const refusal = policy.kind === 'AuthorizationPolicy' ? ztunnelRefusal(policy) : shadowedBy(policy, state)
  if (refusal?.state === 'NOT ENFORCED') return refusal
  const selected = selectedPods(policy, state.pods)
  const inMesh = selected.filter(isCaptured)
  if (selected.length === 0) return nobody('selects no pod')
  if (inMesh.length === 0) return nobody(`none of its ${selected.length} pods is in the mesh`, 'AM0101')
  if (refusal) return refusal
  if (inMesh.length < selected.length) {
    const note = `${selected.length - inMesh.length} of its ${selected.length} pods are outside the mesh`
    return { state: 'PARTLY', enforcedAt: ['ztunnel'], code: 'AM0101', note }
  }
  return { state: 'ok', enforcedAt: ['ztunnel'], ...ztunnelNote(policy, inMesh, state) }
}

export function targetsOf({ spec }: SecurityPolicy): readonly PolicyTargetReference[] {
  if (!spec || !('targetRefs' in spec || 'targetRef' in spec)) return []
  return spec.targetRefs ?? (spec.targetRef ? [spec.targetRef] : [])
}

/** Pods that a policy without targets means; proxies are not meant. */
export function selectedPods(policy: SecurityPolicy, pods: readonly Pod[]): readonly Pod[] {
  const { namespace = '' } = policy.metadata
  const labels = policy.spec?.selector?.matchLabels ?? {}
  return pods.filter(
    (pod) =>
      !isProxy(pod) &&
      (namespace === ROOT_NAMESPACE || pod.metadata.namespace === namespace) &&
      matchesEvery(labels, pod.metadata.labels ?? {}),
  )
}

/** A waypoint's or gateway's own. */
export function isProxy({ metadata }: Pod): boolean {
  return metadata.labels?.[GATEWAY_NAME_LABEL] !== undefined
}

export function isCaptured({ metadata }: Pod): boolean {
  return metadata.annotations?.[REDIRECTION_ANNOTATION] === 'enabled'
}

/** Whether a sidecar is at its side, which enforces for it. */
export function hasSidecar({ metadata }: Pod): boolean {
  return metadata.annotations?.['sidecar.istio.io/status'] !== undefined
}

/** What the control plane says about the object's waypoint; undefined: it asks for none. */
export function boundCondition(object: Resource): Condition | undefined {
  return getCondition(object as Service, 'istio.io/WaypointBound')
}

/** `namespace/name` of the waypoint that requests to the object go through; undefined: none. */
export function boundWaypoint(object: Resource): string | undefined {
  const bound = boundCondition(object)
  if (bound?.status !== 'True') return undefined
  return /attached to waypoint ([a-z0-9-]+\/[a-z0-9-]+(?:\.[a-z0-9-]+)*)/.exec(bound.message ?? '')?.[1]
}

/** As people would name the place. */
export function askedAt(policy: SecurityPolicy): string {
  const targets = targetsOf(policy)
  if (targets.length > 0) return targets.map(({ kind, name }) => `${KIND_WORDS[kind] ?? kind}/${name}`).join(',')
  const labels = Object.entries(policy.spec?.selector?.matchLabels ?? {})
  if (labels.length > 0) return `pods ${labels.map(([key, value]) => `${key}=${value}`).join(',')}`
  return policy.metadata.namespace === ROOT_NAMESPACE ? 'mesh' : `ns/${policy.metadata.namespace}`
}

const KIND_WORDS: Readonly<Record<string, string>> = {
  Service: 'svc',
  ServiceEntry: 'se',
  Gateway: 'gateway',
  GatewayClass: 'gatewayclass',
}

export function actionOf(policy: SecurityPolicy): string {
  if (policy.kind === 'AuthorizationPolicy') return (policy as AuthorizationPolicy).spec?.action ?? 'ALLOW'
  return policy.kind === 'PeerAuthentication' ? 'mTLS' : 'JWT'
}

function nobody(note = '', code?: string): Enforcement {
  return { state: 'NOT ENFORCED', enforcedAt: [], note, ...(code !== undefined && { code }) }
}

/** What istiod says of it; undefined: all of it is enforced. */
function ztunnelRefusal(policy: AuthorizationPolicy): Enforcement | undefined {
  const accepted = getCondition(policy, 'ZtunnelAccepted')
  if (!accepted) return nobody('the control plane has not looked at it yet')
  const { action = 'ALLOW' } = policy.spec ?? {}
  if (accepted.status !== 'True') {
    return nobody(accepted.message, action === 'CUSTOM' || action === 'AUDIT' ? 'AM0109' : undefined)
  }
  if (/will have no effect/.test(accepted.message ?? '')) {
    return nobody('only HTTP conditions in a part of each rule, and ztunnel reads no HTTP', 'AM0104')
  }
  if (!/more restrictive/.test(accepted.message ?? '')) return undefined
  const note =
    action === 'ALLOW'
      ? 'rules with HTTP conditions are left out: less is allowed than asked'
      : 'HTTP conditions are left out: more is denied than asked'
  return { state: 'PARTLY', enforcedAt: ['ztunnel'], note, ...(action === 'ALLOW' && { code: 'AM0105' }) }
}

/** Of several PeerAuthentications of one level the oldest counts. */
function shadowedBy(policy: PeerAuthentication, { policies }: EnforcementState): Enforcement | undefined {
  const labels = JSON.stringify(policy.spec?.selector?.matchLabels ?? {})
  const age = ({ metadata }: Resource) => `${metadata.creationTimestamp ?? ''} ${metadata.name}`
  const older = policies.find(
    (other) =>
      other.kind === 'PeerAuthentication' &&
      other.metadata.namespace === policy.metadata.namespace &&
      JSON.stringify(other.spec?.selector?.matchLabels ?? {}) === labels &&
      age(other) < age(policy),
  )
  return older && nobody(`PeerAuthentication ${older.metadata.name} is older and counts instead`)
}

function ztunnelNote(
  policy: SecurityPolicy,
  pods: readonly Pod[],
  { services }: EnforcementState,
): Pick<Enforcement, 'code' | 'note'> {
  if (policy.kind === 'PeerAuthentication') {
    const { mode = 'UNSET' } = (policy as PeerAuthentication).spec?.mtls ?? {}
    if (mode === 'STRICT') return {}
    return {
      note: mode === 'DISABLE' ? 'as PERMISSIVE: ztunnel never refuses HBONE' : `${mode}: plaintext may come in`,
    }
  }
  const { rules = [] } = (policy as AuthorizationPolicy).spec ?? {}
  if (!rules.some(({ from = [] }) => from.length > 0)) return {}
  const through = services.find(
    (service) => boundWaypoint(service) !== undefined && pods.some((pod) => isSelectedBy(pod, service)),
  )
  if (!through) return {}
  return { code: 'AM0106', note: `through svc/${through.metadata.name} the caller is ${boundWaypoint(through)}` }
}

export function isSelectedBy({ metadata }: Pod, { metadata: { namespace }, spec }: Service): boolean {
  const selector = spec?.selector ?? {}
  return (
    metadata.namespace === namespace &&
    Object.keys(selector).length > 0 &&
    matchesEvery(selector, metadata.labels ?? {})
  )
}

function atWaypoints(
  policy: SecurityPolicy,
  targets: readonly PolicyTargetReference[],
  state: EnforcementState,
): Enforcement {
  const found = targets.map((target) => atWaypoint(policy, target, state))
  const held = found.filter(({ enforcedAt }) => enforcedAt.length > 0)
  const [missing] = found.filter(({ enforcedAt }) => enforcedAt.length === 0)
  if (held.length === 0) return missing!
  const enforcedAt = [...new Set(held.flatMap((one) => one.enforcedAt))]
  if (missing) return { ...missing, state: 'PARTLY', enforcedAt }
  return { ...held.find(({ note }) => note !== undefined), state: 'ok', enforcedAt }
}

function atWaypoint(
  policy: SecurityPolicy,
  { group = '', kind, name }: PolicyTargetReference,
  state: EnforcementState,
): Enforcement {
  const accepted = getCondition(policy as AuthorizationPolicy, 'WaypointAccepted')
  if (!accepted) return nobody('the control plane has not looked at it yet')
  const key = `${policy.metadata.namespace}/${name}`
  if (group === GATEWAY_GROUP && kind === 'GatewayClass') {
    return accepted.status === 'True' ? { state: 'ok', enforcedAt: [`gatewayclass/${name}`] } : nobody(accepted.message)
  }
  if (group === GATEWAY_GROUP && kind === 'Gateway') {
    const gateway = state.gateways.find(({ metadata }) => objectKey(metadata) === key)
    if (!gateway || accepted.reason === 'Invalid') return nobody(accepted.message)
    return ofGateway(gateway)
  }
  const objects: readonly Resource[] = kind === 'Service' ? state.services : state.serviceEntries
  const object = objects.find(({ metadata }) => objectKey(metadata) === key)
  if (!object) return nobody(`${kind} ${key} was not found`)
  const waypoint = boundWaypoint(object)
  if (waypoint === undefined) {
    const asked = boundCondition(object)
    return asked ? nobody(asked.message, 'AM0103') : nobody(`${kind} ${key} is not bound to a waypoint`, 'AM0107')
  }
  const gateway = state.gateways.find(({ metadata }) => objectKey(metadata) === waypoint)
  return gateway ? ofGateway(gateway) : nobody(`there is no waypoint ${waypoint}`, 'AM0103')
}

/** A waypoint that never was ready is passed by; one that was and is not any more stops what it guards. */
function ofGateway(gateway: Gateway): Enforcement {
  const key = objectKey(gateway.metadata)
  if ((gateway.status?.addresses ?? []).length === 0) {
    return nobody(`waypoint ${key} is not ready: what it should guard goes without it`, 'AM0103')
  }
  if (isConditionTrue(gateway, 'Programmed')) return { state: 'ok', enforcedAt: [key] }
  return { state: 'ok', enforcedAt: [key], code: 'AM0103', note: `waypoint ${key} is not ready: what it guards fails` }
}
