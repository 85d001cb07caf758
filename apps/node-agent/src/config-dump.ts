import type { X509Certificate } from 'node:crypto'
import { type ProxyState, serviceKeyOf } from '@ambient-lab/dataplane'
import { formatSpiffeId, type SvidSource, type SvidState } from '@ambient-lab/pki'
import type { Authorization } from '@ambient-lab/policy'
import type { ConnectionView, GatewayAddress, PortMapping, Service, Workload } from '@ambient-lab/xds'
import type { HostedWorkload } from './hosting/hosted-workload.ts'

export interface ConfigDumpSource {
  readonly version: string
  readonly config: unknown
  readonly state: ProxyState
  readonly svids: SvidSource
  readonly hosted: readonly HostedWorkload[]
  readonly connections: readonly ConnectionView[]
}

/**
 * ztunnel's `/config_dump`, in the shape that `istioctl ztunnel-config` reads.
 * @see https://github.com/istio/ztunnel/blob/master/src/admin.rs
 */
export function configDump({ version, config, state, svids, hosted, connections }: ConfigDumpSource): unknown {
  const { workloads, services, policies, nodes } = state.indexes
  return {
    version,
    config,
    workloads: [...workloads.values()].map(dumpWorkload),
    services: [...services.values()].map((service) => dumpService(service, state)),
    policies: [...policies.values()].map(({ source }) => dumpPolicy(source)),
    stagedServices: {},
    staticConfig: null,
    certificates: dumpCertificates(svids),
    workloadState: Object.fromEntries(hosted.map((workload) => dumpState(workload, connections))),
    // Ours: a cluster's network knows where its nodes are.
    nodes: [...nodes.values()],
  }
}

/** The identities of this node with their chains. */
export function dumpCertificates(svids: SvidSource): unknown {
  return svids.states().map(({ id, state }) => ({
    identity: formatSpiffeId(id),
    state: stateText(state),
    certChain: state.phase === 'Available' ? state.svid.chain.map(dumpCertificate) : [],
    rootCerts: state.phase === 'Available' ? state.svid.bundle.roots.map(dumpCertificate) : [],
  }))
}

function stateText(state: SvidState): string {
  return state.phase === 'Unavailable' ? `Unavailable: ${state.reason}` : state.phase
}

function dumpCertificate(certificate: X509Certificate): unknown {
  return {
    // istioctl decodes it from base64.
    pem: Buffer.from(certificate.toString()).toString('base64'),
    serialNumber: BigInt(`0x${certificate.serialNumber}`).toString(),
    validFrom: certificate.validFromDate.toISOString(),
    expirationTime: certificate.validToDate.toISOString(),
  }
}

function dumpWorkload(workload: Workload): unknown {
  const { addresses, tunnelProtocol, waypoint, status, workloadType, networkMode, services, ...rest } = workload
  return {
    ...rest,
    workloadIps: addresses,
    protocol: tunnelProtocol === 'HBONE' ? 'HBONE' : 'TCP',
    ...(waypoint ? { waypoint: dumpGateway(waypoint) } : {}),
    status: capitalized(status),
    workloadType: workloadType.toLowerCase(),
    networkMode: networkMode === 'HOST_NETWORK' ? 'HostNetwork' : 'Standard',
    services: Object.keys(services),
  }
}

function dumpService(service: Service, state: ProxyState): unknown {
  const { addresses, ports, waypoint, name, namespace, hostname, subjectAltNames, loadBalancing } = service
  const endpoints = [...state.endpointsOf(serviceKeyOf(service)).values()].map(({ workload, ports: endpointPorts }) => [
    workload.uid,
    { workloadUid: workload.uid, status: capitalized(workload.status), port: dumpPorts(endpointPorts) },
  ])
  return {
    name,
    namespace,
    hostname,
    vips: addresses.map(({ network, address }) => `${network}/${address}`),
    ports: dumpPorts(ports),
    endpoints: Object.fromEntries(endpoints),
    subjectAltNames,
    ...(waypoint ? { waypoint: dumpGateway(waypoint) } : {}),
    ...(loadBalancing ? { loadBalancer: loadBalancing } : {}),
  }
}

function dumpPorts(ports: readonly PortMapping[]): Record<string, number> {
  return Object.fromEntries(ports.map(({ servicePort, targetPort }) => [String(servicePort), targetPort]))
}

function dumpGateway({ hostname, address, hboneMtlsPort }: GatewayAddress): unknown {
  const destination = hostname
    ? `${hostname.namespace}/${hostname.hostname}`
    : `${address?.network ?? ''}/${address?.address ?? ''}`
  return { destination, port: hboneMtlsPort }
}

function dumpPolicy({ name, namespace, scope, action, rules, dryRun }: Authorization): unknown {
  const scopes = { GLOBAL: 'Global', NAMESPACE: 'Namespace', WORKLOAD_SELECTOR: 'WorkloadSelector' } as const
  return { name, namespace, scope: scopes[scope], action: capitalized(action), rules, ...(dryRun ? { dryRun } : {}) }
}

function dumpState(
  { assignment, report }: HostedWorkload,
  connections: readonly ConnectionView[],
): readonly [string, unknown] {
  const { uid, name, namespace, serviceAccount } = assignment
  const open = connections.filter(({ state }) => state === 'open')
  const inbound = open.filter((view) => view.direction === 'inbound' && isOf(view.destination, name, namespace))
  const outbound = open.filter((view) => view.direction === 'outbound' && isOf(view.source, name, namespace))
  return [
    uid,
    {
      state: report.ready ? 'Up' : 'Pending',
      connections: { inbound: inbound.map(dumpConnection), outbound: outbound.map(dumpConnection) },
      info: { name, namespace, serviceAccount },
    },
  ]
}

function isOf(peer: ConnectionView['source'], name: string, namespace: string): boolean {
  return peer.workload === name && peer.namespace === namespace
}

function dumpConnection({ source, destination, direction, protocol }: ConnectionView): unknown {
  const tunnelled = direction === 'outbound' && destination.hboneAddress !== ''
  return {
    src: source.address,
    originalDst: direction === 'outbound' ? destination.address : destination.service || null,
    actualDst: tunnelled ? destination.hboneAddress : destination.address,
    protocol,
  }
}

function capitalized(word: string): string {
  return word.charAt(0) + word.slice(1).toLowerCase()
}
