import type { Resource } from '@ambient-lab/api'
import { formatAge, parseDuration } from '@ambient-lab/std'
import { type ConnectionObject, type EdgeObject, EMPTY_SNAPSHOT, type LabSnapshot } from './snapshot.ts'
import { edgeKey, localPod, TrafficHistory } from './traffic-history.ts'

/** What the views show: rows with stable ids, computed from one snapshot and the minute before it. Immutable. */
export interface LabModel {
  readonly lab: string
  readonly atMs: number
  /** How long the API has been silent; 0 while it answers. */
  readonly staleMs: number
  readonly namespaces: readonly string[]
  readonly nodes: readonly NodeRow[]
  readonly workloads: readonly WorkloadRow[]
  readonly services: readonly ServiceRow[]
  readonly edges: readonly EdgeRow[]
  readonly connections: readonly ConnectionRow[]
  readonly faults: readonly FaultRow[]
  readonly loads: readonly LoadRow[]
  readonly events: readonly EventRow[]
  readonly history: TrafficHistory
  readonly lost: number
}

export interface NodeRow {
  readonly id: string
  readonly name: string
  readonly status: 'ok' | 'GONE' | 'JOINING'
  readonly reason: string
  readonly pods: number
  readonly readyPods: number
  readonly openConnections: number
  readonly bytesPerSecond: number | undefined
  readonly podCidr: string
  readonly pid: number | undefined
  readonly machine: string
  readonly ports: Readonly<Record<string, number>>
  readonly startedAtMs: number | undefined
  readonly faults: readonly string[]
  readonly object: Resource
}

export interface WorkloadRow {
  readonly id: string
  readonly name: string
  readonly namespace: string
  readonly node: string
  readonly address: string
  readonly mode: 'ambient' | 'sidecar' | 'none'
  /** A word: `ok`, `PENDING`, the reason of a failure, `PLAIN`, `EXPIRING`, `GONE`. */
  readonly status: string
  readonly note: string
  readonly openConnections: number
  readonly bytesPerSecond: number | undefined
  readonly restarts: number
  readonly certificateEndsInMs: number | undefined
  readonly owner: string
  readonly ageMs: number
  readonly object: Resource
}

export interface ServiceRow {
  readonly id: string
  readonly name: string
  readonly namespace: string
  readonly address: string
  readonly ports: string
  readonly ready: number
  readonly total: number
  readonly openConnections: number
  readonly openedPerSecond: number | undefined
  readonly failedPerSecond: number | undefined
  readonly bytesPerSecond: number | undefined
  readonly callers: readonly string[]
  readonly object: Resource
}

export interface EdgeRow {
  readonly id: string
  readonly source: string
  readonly destination: string
  readonly namespace: string
  readonly service: string
  readonly secured: 'mTLS' | 'PLAIN'
  readonly clientId: string
  readonly open: number
  readonly openedPerSecond: number | undefined
  readonly failedPerSecond: number | undefined
  readonly bytesPerSecond: number | undefined
  readonly opened: number
  /** Something is open, or moved in the last minute. */
  readonly live: boolean
  readonly note: string
}

export interface ConnectionRow {
  readonly id: string
  readonly source: string
  readonly destination: string
  readonly namespace: string
  readonly direction: 'inbound' | 'outbound'
  readonly state: 'open' | 'closed' | 'failed'
  readonly protocol: 'HBONE' | 'TCP'
  readonly sourceId: string
  readonly destinationId: string
  readonly service: string
  readonly flags: string
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly ageMs: number
  readonly object: ConnectionObject
}

export interface FaultRow {
  readonly id: string
  readonly type: string
  readonly target: string
  readonly params: string
  readonly state: string
  readonly leftMs: number | undefined
  readonly owner: string
  readonly object: Resource
}

export interface LoadRow {
  readonly id: string
  readonly name: string
  readonly namespace: string
  readonly from: string
  readonly url: string
  readonly rate: string
  readonly phase: string
  readonly completed: number
  readonly failed: number
  readonly p50: number | undefined
  readonly p99: number | undefined
  readonly object: Resource
}

export interface EventRow {
  readonly id: string
  readonly atMs: number
  readonly type: string
  readonly reason: string
  readonly object: string
  readonly namespace: string
  readonly message: string
  readonly count: number
}

/** A leaf that ends sooner than this, and was not rotated, is worth a warning: half-life of a day is long past. */
const CERTIFICATE_WARNING_MS = 60 * 60_000

export const EMPTY_MODEL: LabModel = buildModel(EMPTY_SNAPSHOT, new TrafficHistory())

/** Pure: one snapshot and the history before it in, the next model out. */
export function buildModel(snapshot: LabSnapshot, before: TrafficHistory): LabModel {
  const history = before.with(snapshot)
  const faults = snapshot.faults.map((fault) => faultRow(fault, snapshot.atMs))
  const workloads = snapshot.pods.map((pod) => workloadRow(pod, snapshot, history))
  return {
    lab: snapshot.lab,
    atMs: snapshot.atMs,
    staleMs: Math.max(0, snapshot.atMs - snapshot.contactAtMs),
    namespaces: snapshot.namespaces.map(({ metadata }) => metadata.name),
    nodes: snapshot.nodes.map((node) => nodeRow(node, workloads, faults)),
    workloads,
    services: snapshot.services.map((service) => serviceRow(service, snapshot, workloads, history)),
    edges: edgeRows(snapshot, history),
    connections: snapshot.connections.map(connectionRow),
    faults,
    loads: snapshot.loads.map(loadRow),
    events: snapshot.events.map(eventRow).sort((a, b) => b.atMs - a.atMs),
    history,
    lost: snapshot.lost,
  }
}

// Objects come from the API as JSON; these read a path and never throw on a shape that is not there.
type Json = Readonly<Record<string, unknown>>
const at = (value: unknown, ...path: readonly string[]): unknown =>
  path.reduce<unknown>(
    (node, key) => (typeof node === 'object' && node !== null ? (node as Json)[key] : undefined),
    value,
  )
const text = (value: unknown): string => (value === undefined || value === null ? '' : String(value))
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
const number = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined)
const time = (value: unknown): number | undefined => (value ? Date.parse(text(value)) || undefined : undefined)
const strings = (value: unknown): readonly string[] => list(value).map(text)

function condition(object: Resource, type: string): { status: string; reason: string; message: string } | undefined {
  const found = list(at(object.status, 'conditions')).find((entry) => at(entry, 'type') === type)
  return found
    ? { status: text(at(found, 'status')), reason: text(at(found, 'reason')), message: text(at(found, 'message')) }
    : undefined
}

function nodeRow(node: Resource, workloads: readonly WorkloadRow[], faults: readonly FaultRow[]): NodeRow {
  const { name } = node.metadata
  const ready = condition(node, 'Ready')
  const here = workloads.filter((workload) => workload.node === name)
  const rates = here.flatMap(({ bytesPerSecond }) => bytesPerSecond ?? [])
  const agent = at(node.status, 'agent')
  return {
    id: name,
    name,
    status:
      ready?.status === 'True' ? 'ok' : ready === undefined || ready.reason === 'NeverJoined' ? 'JOINING' : 'GONE',
    reason: ready?.status === 'True' ? '' : (ready?.message ?? 'no agent yet'),
    pods: here.length,
    readyPods: here.filter(({ status }) => status === 'ok' || status === 'PLAIN').length,
    openConnections: here.reduce((sum, { openConnections }) => sum + openConnections, 0),
    bytesPerSecond: rates.length > 0 ? rates.reduce((sum, rate) => sum + rate, 0) : undefined,
    podCidr: text(at(node.spec, 'podCIDR')),
    pid: number(at(agent, 'pid')),
    machine: text(at(agent, 'machine') ?? at(node.spec, 'machine')),
    ports: {
      ...(at(agent, 'ports') as Record<string, number> | undefined),
      ...(at(agent, 'hbone', 'port') ? { hbone: at(agent, 'hbone', 'port') as number } : {}),
    },
    startedAtMs: time(at(agent, 'startedAt')),
    faults: faults.filter(({ state, object }) => state === 'Active' && touchesNode(object, name)).map(({ id }) => id),
    object: node,
  }
}

function touchesNode(fault: Resource, node: string): boolean {
  return [...strings(at(fault.spec, 'from')), ...strings(at(fault.spec, 'to')), text(at(fault.spec, 'node'))].includes(
    node,
  )
}

function workloadRow(pod: Resource, { atMs, connections }: LabSnapshot, history: TrafficHistory): WorkloadRow {
  const { name, namespace = '', annotations = {}, creationTimestamp, ownerReferences = [] } = pod.metadata
  const captured = annotations['ambient.istio.io/redirection'] === 'enabled'
  const endsAtMs = time(at(pod.status, 'ambientLab', 'certificate', 'notAfter'))
  const endsInMs = endsAtMs === undefined ? undefined : endsAtMs - atMs
  const key = `${namespace}/${name}`
  const hasSidecar = annotations['sidecar.istio.io/status'] !== undefined
  const { status, note } = podStatus(pod, captured || hasSidecar, endsInMs)
  return {
    id: key,
    name,
    namespace,
    node: text(at(pod.spec, 'nodeName')) || '-',
    address: text(at(pod.status, 'podIP')),
    mode: captured ? 'ambient' : hasSidecar ? 'sidecar' : 'none',
    status,
    note,
    openConnections: connections.filter(
      (connection) => connection.spec.state === 'open' && localPod(connection) === key,
    ).length,
    bytesPerSecond: history.podBytesPerSecond(key),
    restarts: list(at(pod.status, 'containerStatuses')).reduce<number>(
      (sum, entry) => sum + (number(at(entry, 'restartCount')) ?? 0),
      0,
    ),
    certificateEndsInMs: endsInMs,
    owner: (ownerReferences[0]?.name ?? name).replace(/-[a-z0-9]+$/, ''),
    ageMs: atMs - (time(creationTimestamp) ?? atMs),
    object: pod,
  }
}

function podStatus(pod: Resource, isInMesh: boolean, endsInMs: number | undefined): { status: string; note: string } {
  const phase = text(at(pod.status, 'phase')) || 'Pending'
  const ready = condition(pod, 'Ready')
  const waiting = list(at(pod.status, 'containerStatuses'))
    .map((entry) => at(entry, 'state', 'waiting'))
    .find(Boolean)
  if (pod.metadata.deletionTimestamp) return { status: 'ENDING', note: 'is being deleted' }
  if (waiting && at(waiting, 'reason') !== 'ContainerCreating') {
    return { status: text(at(waiting, 'reason')), note: text(at(waiting, 'message')) }
  }
  if (phase !== 'Running') {
    return {
      status: phase.toUpperCase(),
      note: text(at(pod.status, 'message')) || (condition(pod, 'PodScheduled')?.message ?? ''),
    }
  }
  if (ready?.status !== 'True') return { status: 'NOT READY', note: ready?.message || ready?.reason || '' }
  if (!isInMesh)
    return {
      status: 'PLAIN',
      note: 'not captured: its namespace and its own label do not say istio.io/dataplane-mode=ambient',
    }
  if (endsInMs !== undefined && endsInMs < CERTIFICATE_WARNING_MS) {
    return {
      status: 'EXPIRING',
      note: text(at(pod.status, 'ambientLab', 'certificate', 'reason')) || 'its certificate was not renewed',
    }
  }
  return { status: 'ok', note: '' }
}

function serviceRow(
  service: Resource,
  snapshot: LabSnapshot,
  workloads: readonly WorkloadRow[],
  history: TrafficHistory,
): ServiceRow {
  const { name, namespace = '' } = service.metadata
  const selector = Object.entries((at(service.spec, 'selector') ?? {}) as Record<string, string>)
  const endpoints = workloads.filter(
    (workload) =>
      workload.namespace === namespace &&
      selector.length > 0 &&
      selector.every(([key, value]) => workload.object.metadata.labels?.[key] === value),
  )
  const mine = snapshot.edges.filter(
    ({ spec }) => spec.destinationNamespace === namespace && spec.destinationService.split('.')[0] === name,
  )
  const rates = [...new Set(mine.map(edgeKey))].flatMap((key) => history.edgeRates(key) ?? [])
  const sum = (values: readonly number[]) =>
    rates.length > 0 ? values.reduce((total, value) => total + value, 0) : undefined
  return {
    id: `${namespace}/${name}`,
    name,
    namespace,
    address: text(at(service.spec, 'clusterIP')),
    ports: list(at(service.spec, 'ports'))
      .map((port) => text(at(port, 'port')))
      .join(','),
    ready: endpoints.filter(({ status }) => status === 'ok' || status === 'PLAIN' || status === 'EXPIRING').length,
    total: endpoints.length,
    openConnections: snapshot.connections.filter(
      ({ spec }) =>
        spec.state === 'open' &&
        spec.direction === 'outbound' &&
        spec.destination.service === `${name}.${namespace}.svc.cluster.local`,
    ).length,
    openedPerSecond: sum(rates.map(({ openedPerSecond }) => openedPerSecond)),
    failedPerSecond: sum(rates.map(({ failedPerSecond }) => failedPerSecond)),
    bytesPerSecond: sum(rates.map(({ bytesPerSecond }) => bytesPerSecond)),
    callers: [...new Set(mine.map(({ spec }) => spec.sourceWorkload))].sort(),
    object: service,
  }
}

function edgeRows(snapshot: LabSnapshot, history: TrafficHistory): EdgeRow[] {
  const rows = new Map<string, EdgeRow>()
  const told = new Set(snapshot.edges.filter(({ spec }) => spec.reporter === 'source').map(edgeKey))
  for (const edge of snapshot.edges) {
    const key = edgeKey(edge)
    if (edge.spec.reporter === 'destination' && told.has(key)) continue
    const before = rows.get(key)
    rows.set(key, before ? mergeEdges(before, edge) : edgeRow(key, edge, snapshot, history))
  }
  return [...rows.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
}

function edgeRow(key: string, { spec }: EdgeObject, { connections }: LabSnapshot, history: TrafficHistory): EdgeRow {
  const rates = history.edgeRates(key)
  const denied = rates?.deniedPerSecond ?? 0
  const open = connections.filter(
    (connection) => connection.spec.state === 'open' && belongsTo(connection, spec),
  ).length
  return {
    id: key,
    source: spec.sourceWorkload,
    destination:
      spec.destinationWorkload === 'unknown' ? spec.destinationService || 'unknown' : spec.destinationWorkload,
    namespace: spec.sourceNamespace,
    service: spec.destinationService,
    secured: spec.connectionSecurityPolicy === 'mutual_tls' ? 'mTLS' : 'PLAIN',
    clientId: shortId(spec.sourcePrincipal),
    open,
    live: open > 0 || history.moved(key),
    openedPerSecond: rates?.openedPerSecond,
    failedPerSecond: rates?.failedPerSecond,
    bytesPerSecond: rates?.bytesPerSecond,
    opened: spec.opened,
    note:
      denied > 0
        ? `DENY ${denied.toFixed(1)}/s`
        : spec.failed > 0 && (rates?.failedPerSecond ?? 0) > 0
          ? 'FAIL'
          : 'L4 only',
  }
}

function mergeEdges(row: EdgeRow, { spec }: EdgeObject): EdgeRow {
  return {
    ...row,
    opened: row.opened + spec.opened,
    secured: spec.connectionSecurityPolicy === 'mutual_tls' ? row.secured : 'PLAIN',
  }
}

function belongsTo({ spec }: ConnectionObject, edge: EdgeObject['spec']): boolean {
  return (
    spec.direction === 'outbound' &&
    spec.source.namespace === edge.sourceNamespace &&
    spec.source.workload.startsWith(edge.sourceWorkload) &&
    spec.destination.workload.startsWith(edge.destinationWorkload)
  )
}

function connectionRow(connection: ConnectionObject): ConnectionRow {
  const { spec } = connection
  return {
    id: spec.id,
    source: spec.source.workload || spec.source.address,
    destination: spec.destination.workload || spec.destination.address,
    namespace: spec.source.namespace || spec.destination.namespace,
    direction: spec.direction,
    state: spec.state,
    protocol: spec.protocol,
    sourceId: shortId(spec.source.identity),
    destinationId: shortId(spec.destination.identity),
    service: spec.destination.service,
    flags: spec.responseFlags,
    bytesSent: spec.bytesSent,
    bytesReceived: spec.bytesReceived,
    ageMs: spec.durationMs,
    object: connection,
  }
}

/** `spiffe://cluster.local/ns/default/sa/curl` → `default/curl`. */
export function shortId(spiffeId: string): string {
  const match = /\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(spiffeId)
  return match ? `${match[1]}/${match[2]}` : spiffeId === 'unknown' || spiffeId === '' ? '-' : spiffeId
}

function faultRow(fault: Resource, nowMs: number): FaultRow {
  const { spec, status } = fault
  const endsAtMs = time(at(status, 'endsAt'))
  const forever = at(spec, 'duration') === 'forever'
  const parameters = (at(spec, 'params') ?? {}) as Record<string, string>
  const plannedMs = parseDuration(text(at(spec, 'duration')))
  return {
    id: fault.metadata.name,
    type: text(at(spec, 'type')),
    target: faultTarget(spec),
    params: [parameters.delay, parameters.jitter && `+-${parameters.jitter}`].filter(Boolean).join(' ') || '-',
    state: text(at(status, 'phase')) || 'Pending',
    leftMs: forever ? undefined : endsAtMs === undefined ? plannedMs : Math.max(0, endsAtMs - nowMs),
    owner: text(at(spec, 'owner')) || '-',
    object: fault,
  }
}

function faultTarget(spec: unknown): string {
  const node = text(at(spec, 'node'))
  if (node) return `node/${node}`
  const arrow = at(spec, 'oneway') === true ? '>' : '<>'
  return `${strings(at(spec, 'from')).join(',')} ${arrow} ${strings(at(spec, 'to')).join(',')}`
}

function loadRow(load: Resource): LoadRow {
  const { name, namespace = '' } = load.metadata
  return {
    id: `${namespace}/${name}`,
    name,
    namespace,
    from: text(at(load.spec, 'from')),
    url: text(at(load.spec, 'url')),
    rate: text(at(load.spec, 'rate')),
    phase: text(at(load.status, 'phase')) || 'Pending',
    completed: number(at(load.status, 'completed')) ?? 0,
    failed: number(at(load.status, 'failed')) ?? 0,
    p50: number(at(load.status, 'latencyMs', 'p50')),
    p99: number(at(load.status, 'latencyMs', 'p99')),
    object: load,
  }
}

function eventRow(event: Resource): EventRow {
  const involved = event.involvedObject
  return {
    id: event.metadata.uid ?? event.metadata.name,
    atMs: time(event.lastTimestamp) ?? time(event.eventTime) ?? time(event.metadata.creationTimestamp) ?? 0,
    type: text(event.type) === 'Warning' ? 'WARN' : 'ok',
    reason: text(event.reason),
    object: `${text(at(involved, 'kind')).toLowerCase()}/${text(at(involved, 'name'))}`,
    namespace: event.metadata.namespace ?? '',
    message: text(event.message),
    count: number(event.count) ?? 1,
  }
}

/** Age as kubectl prints it. */
export function age(ageMs: number): string {
  return formatAge(ageMs)
}
