import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { EndpointSlice, Pod, Resource, Service } from '@ambient-lab/api'
import { describe, expect, it } from 'vitest'
import {
  ENDPOINT_SLICES,
  type KnownType,
  NAMESPACES,
  NODES,
  SERVICE_ENTRIES,
  SERVICES,
  type ServiceEntry,
  type WorkloadEntry,
} from '../stored-kinds.ts'
import { parseCidr } from './cidr.ts'
import { sliceWorkloads } from './endpoint-slice.ts'
import { meshService } from './mesh-service.ts'
import { podWorkload } from './pod-workload.ts'
import { entryServices, serviceEntryWorkloads, toNetworkAddress } from './service-entry.ts'
import { viewOf } from './view.conformance.ts'
import type { TranslationView } from './view.ts'
import { ingressUseWaypoint } from './waypoint-labels.ts'
import { workloadEntryWorkload } from './workload-entry.ts'

/** istiod's own tests of its workload index, as data: beside the repository, or where AMBIENT_CORPUS says. */
const CORPUS = resolve(
  ...[
    import.meta.dirname,
    '../../../..',
    process.env.AMBIENT_CORPUS ?? '../shared/corpus',
    'istio-ambient-workload-api',
  ],
)

interface Item {
  readonly id: string
  readonly name: string
  readonly function: string
  readonly input: Readonly<Record<string, unknown>> & {
    readonly inputs?: readonly { readonly type: string; readonly value: Record<string, unknown> }[]
  }
  readonly expected: Readonly<Record<string, unknown>>
}

/** What this lab does not do yet, by what gives it away. Each goes when waypoints, networks and visibility come. */
const NOT_YET: readonly [RegExp, string][] = [
  [
    /^(GetCanaryWeight|GetUseWaypointCanary|MakeAllowedRoutes|ServiceOwningWaypoints)\//,
    'waypoint selection comes with waypoints',
  ],
  [/^MatchServiceScope\//, 'service scopes come with multicluster'],
  [/^SelectWorkloadServices\//, 'visibility of ServiceEntries comes with multicluster'],
  [/^(WorkloadEntryConditions|ServiceConditions|ServiceEntryConditions)\//, 'WaypointBound comes with waypoints'],
]

const items: readonly Item[] = existsSync(CORPUS)
  ? JSON.parse(
      // The tables name labels by Istio's Go constants.
      readFileSync(join(CORPUS, 'cases.json'), 'utf8')
        .replaceAll(/(?:label|annotation)\.(\w+)\.Name/g, (_, name) => labelOf(name))
        .replaceAll('discovery.LabelServiceName', 'kubernetes.io/service-name'),
    ).items
  : []

if (items.length === 0) it.skip('istiod’s workload index: no corpus here (AMBIENT_CORPUS names its folder)', () => {})

describe.runIf(items.length > 0)('workloads and services are as istiod sends them', () => {
  for (const item of items) {
    const reason = reasonToSkip(item)
    if (reason) it.skip(`${item.id} ${item.name}: ${reason}`, () => {})
    else it(`${item.id} ${item.name}`, () => expect(actual(item)).toEqual(wanted(item)))
  }
})

function reasonToSkip(item: Item): string | undefined {
  const known = NOT_YET.find(([pattern]) => pattern.test(item.id))
  if (known) return known[1]
  const text = JSON.stringify(item.expected)
  if (/"(waypoint|weightedWaypoints|applicationTunnel)"/.test(text)) return 'waypoints come later'
  if (/"networkGateway"/.test(text)) return 'networks come with multicluster'
  if (/"visibility"/.test(text) || JSON.stringify(item.input).includes('isibility')) {
    return 'visibility of ServiceEntries comes with multicluster'
  }
  if (/DYNAMIC_DNS|"canonical":true/.test(text) && item.id.startsWith('ServiceEntry')) return 'comes with egress'
  return undefined
}

function actual({ function: of, input }: Item): unknown {
  const view = viewFor(input)
  const one = (part: string) => input[part] as Resource
  switch (of) {
    case 'TestPodWorkloads':
      return { result: plain(podWorkload(one('pod') as Pod, view)) }
    case 'TestServiceServices':
      return { result: plain(meshService(one('svc') as Service, view)) }
    case 'TestServiceEntryServices':
      return { result: plain(entryServices(one('se') as ServiceEntry, view)) }
    case 'TestServiceEntryWorkloads':
      return { result: plain(serviceEntryWorkloads(one('se') as ServiceEntry, view)) }
    case 'TestWorkloadEntryWorkloads':
      return { result: plain(workloadEntryWorkload(one('we') as WorkloadEntry, view)) }
    case 'TestEndpointSliceWorkloads':
      return { result: plain(sliceWorkloads(one('slice') as EndpointSlice, view)) }
    case 'TestParseCidrOrIP':
      return parseCidr(input.input as string) ?? null
    case 'TestToNetworkAddressFromCidr':
      return toNetworkAddress(input.vip as string, 'test')
    case 'TestIngressUseWaypointFromLabels':
      return ingressUseWaypoint(input.serviceLabels as never, input.namespaceLabels as never)
    default:
      throw new Error(`no such table: ${of}`)
  }
}

function wanted({ function: of, expected }: Item): unknown {
  if (of === 'TestParseCidrOrIP') return expected.want ?? null
  if (of === 'TestToNetworkAddressFromCidr') return expected.want
  if (of === 'TestIngressUseWaypointFromLabels') return expected.wantPresent ? expected.wantUseWaypoint : undefined
  return { result: plain(expected.result) }
}

/** Objects as the store has them, from the upstream tables' mixture of objects and of records made from them. */
function viewFor(input: Item['input']): TranslationView {
  const objects = (input.inputs ?? []).flatMap(({ type, value }): [KnownType, Resource][] => {
    if (type === 'v1.Namespace') return [[NAMESPACES, value as unknown as Resource]]
    if (type === 'discovery.EndpointSlice') return [[ENDPOINT_SLICES, value as unknown as Resource]]
    if (type === 'Node') return [[NODES, nodeObject(value)]]
    if (type === 'model.ServiceInfo') return [serviceObject(value)]
    return []
  })
  return viewOf(objects, { clusterId: 'cluster0', network: 'testnetwork', clusterDomain: 'domain.suffix' })
}

function nodeObject(value: Record<string, unknown>): Resource {
  const { region = '', zone = '' } = value.locality as { region?: string; zone?: string }
  const labels = { 'topology.kubernetes.io/region': region, 'topology.kubernetes.io/zone': zone }
  return { apiVersion: 'v1', kind: 'Node', metadata: { name: String(value.name), labels } }
}

interface CorpusPort {
  readonly servicePort: number
  readonly targetPort?: number
}

/** A Service or ServiceEntry from which the record of the table could have come; `hostname` stands for its host name. */
function serviceObject(info: Record<string, unknown>): [KnownType, Resource] {
  const service = info.service as { name: string; namespace: string; hostname: string; ports: CorpusPort[] }
  const names = (info.portNames ?? {}) as Record<string, { portName?: string; targetPortName?: string }>
  const labels = (info.labelSelector as { labels?: Record<string, string> } | undefined)?.labels
  const metadata = { name: service.name, namespace: service.namespace }
  // The tables invent host names; a Service's would be name.namespace.svc.domain.
  if (!/\.svc\./.test(service.hostname)) {
    const ports = service.ports.map(({ servicePort, targetPort }) => {
      const { portName, targetPortName } = names[servicePort] ?? {}
      return { number: servicePort, name: portName, targetPort: targetPort || undefined, targetPortName }
    })
    if (ports.every(({ targetPortName }) => targetPortName === undefined) && info.source !== undefined) {
      const spec = { hosts: [service.hostname], ports, workloadSelector: { labels } }
      return [SERVICE_ENTRIES, { apiVersion: 'v1', kind: 'ServiceEntry', metadata, spec }]
    }
  }
  const ports = service.ports.map(({ servicePort, targetPort }) => {
    const { portName, targetPortName } = names[servicePort] ?? {}
    return { port: servicePort, name: portName, targetPort: targetPortName ?? (targetPort || `none-${servicePort}`) }
  })
  return [SERVICES, { apiVersion: 'v1', kind: 'Service', metadata, spec: { selector: labels, ports } }]
}

/** Without zero values and without what the reference leaves out because it is the default; port lists unwrapped. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value ?? null
  const entries = Object.entries(value).flatMap(([key, part]): [string, unknown][] => {
    if (key === 'services') return servicesEntry(part as Record<string, unknown>)
    if (key === 'name' && 'servicePort' in value) return []
    if (isDefault(key, part)) return []
    const inner = plain(part)
    return isEmpty(inner) ? [] : [[key, inner]]
  })
  return Object.fromEntries(entries)
}

const DEFAULTS: Readonly<Record<string, unknown>> = {
  trustDomain: 'cluster.local',
  serviceAccount: 'default',
  tunnelProtocol: 'NONE',
  workloadType: 'DEPLOYMENT',
  capacity: 1,
  networkMode: 'STANDARD',
  ipFamilies: 'AUTOMATIC',
  visibility: 'PUBLIC',
  appProtocol: 'UNKNOWN',
  healthPolicy: 'ONLY_HEALTHY',
}

function isDefault(key: string, value: unknown): boolean {
  return key in DEFAULTS && DEFAULTS[key] === value
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === '' || value === 0 || value === false) return true
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}

/** The lab's host names of Services follow from their names; those of the tables are made up. */
function servicesEntry(services: Record<string, unknown>): [string, unknown][] {
  const unwrapped = Object.entries(services).map(([key, ports]) => {
    const list = Array.isArray(ports) ? ports : (ports as { ports: unknown[] }).ports
    return [key.replace(/\/\w+\.\w+\.svc\.domain\.suffix$/, '/hostname'), list]
  })
  return unwrapped.length === 0 ? [] : [['services', Object.fromEntries(unwrapped)]]
}

/** `IoIstioUseWaypoint` → `istio.io/use-waypoint` */
function labelOf(constant: string): string {
  const known: Record<string, string> = {
    IoK8sNetworkingGatewayGatewayName: 'gateway.networking.k8s.io/gateway-name',
    NetworkingEnableAutoallocateIp: 'networking.istio.io/enable-autoallocate-ip',
    IoIstioIngressUseWaypoint: 'istio.io/ingress-use-waypoint',
    IoIstioUseWaypoint: 'istio.io/use-waypoint',
  }
  return known[constant] ?? constant
}
