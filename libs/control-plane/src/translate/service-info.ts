import type { Service } from '@ambient-lab/api'
import type { PortMapping } from '@ambient-lab/xds'
import type { ServiceEntry } from '../stored-kinds.ts'

/** What the translation of a workload has to know of a service that may select it. */
export interface ServiceInfo {
  /** `namespace/hostname` */
  readonly key: string
  readonly selector: Readonly<Record<string, string>>
  readonly source: 'Service' | 'ServiceEntry'
  readonly ports: readonly ServiceInfoPort[]
}

export interface ServiceInfoPort {
  readonly servicePort: number
  /** 0: not given as a number. */
  readonly targetPort: number
  readonly name?: string
  /** The container port's name, when the service gives one instead of a number. */
  readonly targetPortName?: string
}

export function serviceHostname(name: string, namespace: string, clusterDomain: string): string {
  return `${name}.${namespace}.svc.${clusterDomain}`
}

/** Undefined for ExternalName, which stands for no workload of ours. */
export function serviceInfo(service: Service, clusterDomain: string): ServiceInfo | undefined {
  const { metadata, spec } = service
  if (!spec || spec.type === 'ExternalName') return undefined
  const namespace = metadata.namespace ?? ''
  return {
    key: `${namespace}/${serviceHostname(metadata.name, namespace, clusterDomain)}`,
    selector: spec.selector ?? {},
    source: 'Service',
    ports: (spec.ports ?? [])
      .filter(({ protocol }) => protocol !== 'UDP' && protocol !== 'SCTP')
      .map(({ port, targetPort = port, name }) => ({
        servicePort: port,
        targetPort: typeof targetPort === 'number' ? targetPort : 0,
        ...(name && { name }),
        ...(typeof targetPort === 'string' && { targetPortName: targetPort }),
      })),
  }
}

/** One for each host of the entry. */
export function serviceEntryInfos({ metadata, spec }: ServiceEntry): ServiceInfo[] {
  const ports = (spec?.ports ?? []).map(({ number, name, targetPort = 0 }) => ({
    servicePort: number,
    targetPort,
    ...(name && { name }),
  }))
  return (spec?.hosts ?? []).map((host) => ({
    key: `${metadata.namespace}/${host}`,
    selector: spec?.workloadSelector?.labels ?? {},
    source: 'ServiceEntry' as const,
    ports,
  }))
}

/** Port name → number, of a pod's containers or of a WorkloadEntry. */
export type NamedPorts = ReadonlyMap<string, number>

/**
 * Where each port of a service leads on a pod. A Service's named port that the pod does not have is left out; a
 * ServiceEntry's falls back to its own number.
 */
export function podPortMappings(service: ServiceInfo, named: NamedPorts): PortMapping[] {
  return service.ports.flatMap((port) => {
    const { servicePort, targetPort, targetPortName } = port
    if (service.source === 'ServiceEntry') return { servicePort, targetPort: entryPort(port, named) }
    const resolved = targetPort || (targetPortName === undefined ? undefined : named.get(targetPortName))
    return resolved === undefined ? [] : { servicePort, targetPort: resolved }
  })
}

/** The same on an endpoint of a ServiceEntry or a WorkloadEntry, whose own port names come first. */
export function entryPortMappings(service: ServiceInfo, named: NamedPorts): PortMapping[] {
  return service.ports.flatMap((port) => {
    const { servicePort, targetPort, targetPortName } = port
    const byName = named.get(targetPortName ?? port.name ?? '')
    if (byName !== undefined) return { servicePort, targetPort: byName }
    if (service.source === 'Service' && targetPort === 0) return []
    return { servicePort, targetPort: targetPort || servicePort }
  })
}

function entryPort(port: ServiceInfoPort, named: NamedPorts): number {
  return port.targetPort || (named.get(port.name ?? '') ?? port.servicePort)
}
