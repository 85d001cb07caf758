import { CodedError, errorMessage } from '@ambient-lab/std'

/** What `ambient zc` reads of a ztunnel's `/config_dump`, its own or that of a real one. */
export interface ZtunnelDump {
  readonly workloads: readonly DumpedWorkload[]
  readonly services: readonly DumpedService[]
  readonly policies: readonly DumpedPolicy[]
  readonly certificates: readonly DumpedIdentity[]
  readonly workloadState: Readonly<Record<string, DumpedState>>
}

export interface DumpedGateway {
  /** `network/address` or `namespace/hostname`. */
  readonly destination: string
  readonly port?: number
}

export interface DumpedWorkload {
  readonly uid?: string
  readonly name: string
  readonly namespace: string
  readonly workloadIps?: readonly string[]
  readonly node?: string
  readonly protocol?: string
  readonly waypoint?: DumpedGateway
}

export interface DumpedService {
  readonly name: string
  readonly namespace: string
  readonly hostname: string
  /** `network/address`. */
  readonly vips?: readonly string[]
  readonly waypoint?: DumpedGateway
  readonly endpoints?: Readonly<Record<string, { readonly status?: string }>>
}

export interface DumpedPolicy {
  readonly name: string
  readonly namespace: string
  readonly action: string
  readonly scope: string
}

export interface DumpedCertificate {
  /** Decimal. */
  readonly serialNumber: string
  /** RFC 3339. */
  readonly validFrom: string
  readonly expirationTime: string
}

export interface DumpedIdentity {
  readonly identity: string
  readonly state: string
  readonly certChain?: readonly DumpedCertificate[]
  /** Of newer ztunnels; older ones put the root at the end of the chain. */
  readonly rootCerts?: readonly DumpedCertificate[]
}

export interface DumpedConnection {
  readonly src: string
  readonly originalDst?: string | null
  readonly actualDst: string
  readonly protocol: string
}

export interface DumpedState {
  readonly state: string
  readonly connections?: {
    readonly inbound?: readonly DumpedConnection[]
    readonly outbound?: readonly DumpedConnection[]
  }
  readonly info: {
    readonly name: string
    readonly namespace: string
    readonly trustDomain?: string
    readonly serviceAccount?: string
  }
}

/**
 * Older ztunnels write objects where newer ones write lists.
 * @param where names the dump in the error
 * @throws CodedError MANIFEST_SYNTAX
 */
export function parseZtunnelDump(text: string, where: string): ZtunnelDump {
  let dump: Partial<Record<keyof ZtunnelDump, unknown>>
  try {
    dump = JSON.parse(text)
  } catch (error) {
    throw notADump(where, errorMessage(error))
  }
  if (typeof dump !== 'object' || dump === null || !('workloads' in dump))
    throw notADump(where, 'it has no "workloads"')
  const parsed = {
    workloads: listOf<DumpedWorkload>(dump.workloads),
    services: listOf<DumpedService>(dump.services),
    policies: listOf<DumpedPolicy>(dump.policies),
    certificates: listOf<DumpedIdentity>(dump.certificates),
    workloadState: (dump.workloadState ?? {}) as ZtunnelDump['workloadState'],
  }
  const named = [...parsed.workloads, ...parsed.services, ...parsed.policies]
  if (named.some((item) => typeof item?.name !== 'string' || typeof item.namespace !== 'string')) {
    throw notADump(where, 'something in it has no name')
  }
  return parsed
}

function listOf<T>(value: unknown): readonly T[] {
  return Object.values(value ?? {}) as T[]
}

function notADump(where: string, why: string): CodedError {
  return new CodedError('MANIFEST_SYNTAX', `${where} is no config dump of a ztunnel: ${why}`, { where })
}

/** One dump of what several ztunnels of one lab know: what all of them know once, what is a node's own from each. */
export function mergeDumps(dumps: readonly ZtunnelDump[]): ZtunnelDump {
  const once = <T>(items: readonly T[], key: (item: T) => string) => [
    ...new Map(items.map((item) => [key(item), item])).values(),
  ]
  const named = ({ namespace, name }: { readonly namespace: string; readonly name: string }) => `${namespace}/${name}`
  return {
    workloads: once(
      dumps.flatMap(({ workloads }) => workloads),
      (workload) => workload.uid ?? named(workload),
    ),
    services: once(
      dumps.flatMap(({ services }) => services),
      ({ namespace, hostname }) => `${namespace}/${hostname}`,
    ),
    policies: once(
      dumps.flatMap(({ policies }) => policies),
      named,
    ),
    certificates: dumps.flatMap(({ certificates }) => certificates),
    workloadState: Object.assign({}, ...dumps.map(({ workloadState }) => workloadState)),
  }
}
