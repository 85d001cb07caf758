import type { AuthorizationMatch, StringMatch } from '@ambient-lab/policy'
import type { CorpusCase } from '../judge.ts'
import type { ServiceRecord, WorkloadRecord } from './records.ts'

/** The cases of the corpus by their `kind`. */
export type ZtunnelCase = CorpusCase & { readonly kind: string }

export interface PolicyRecord {
  readonly name: string
  readonly namespace: string
  readonly scope: 'Global' | 'Namespace' | 'WorkloadSelector'
  readonly action: 'Allow' | 'Deny'
  readonly rules: readonly (readonly (readonly AuthorizationMatch[])[])[]
  readonly dryRun: boolean
}

export interface ConnectionRecord {
  readonly src: string
  readonly dst: string
  readonly identity?: string | null
}

export interface PolicyMatchesCase extends ZtunnelCase {
  readonly policy: PolicyRecord
  readonly connection: ConnectionRecord
  readonly matches: boolean
}

export interface StringMatchCase extends ZtunnelCase {
  readonly matcher: Exclude<StringMatch, { presence: true }> | { readonly presence: object }
  readonly value: string
  readonly matches: boolean
}

export interface AuthorizeCase extends ZtunnelCase {
  readonly policies: readonly PolicyRecord[]
  readonly destination: { readonly namespace: string; readonly authorizationPolicies?: readonly string[] }
  readonly connection: ConnectionRecord
  readonly expected: { readonly allowed: boolean; readonly reason?: string; readonly policy?: string }
}

export interface InboundCase extends ZtunnelCase {
  readonly state: { readonly services: readonly ServiceRecord[]; readonly workloads: readonly WorkloadRecord[] }
  readonly connection: ConnectionRecord
  readonly connectAuthority: string
  readonly expected: { readonly rejected?: boolean; readonly upstream?: string; readonly tunnelTarget?: string }
}

export interface OutboundCase extends ZtunnelCase {
  readonly source: string
  readonly destination: string
  readonly addresses: readonly { readonly workload?: WorkloadRecord; readonly service?: ServiceRecord }[]
  readonly expected: {
    readonly rejected?: boolean
    readonly protocol?: 'TCP' | 'HBONE' | 'DOUBLEHBONE'
    readonly hboneDestination?: string
    readonly destination?: string
    readonly destinationWorkload?: string | null
  }
}

export interface LoadBalanceCase extends ZtunnelCase {
  readonly workloads: readonly WorkloadRecord[]
  readonly service: ServiceRecord
  readonly source: WorkloadRecord
  readonly expected: { readonly possibleEndpoints: readonly string[] }
}

export interface UpstreamPortCase extends ZtunnelCase {
  readonly workload: WorkloadRecord & { readonly uid: string }
  readonly service: ServiceRecord
  readonly destination: string
  readonly resolutionMode: string
  readonly expected: { readonly port: number | null }
}

export interface ServiceLookupCase extends ZtunnelCase {
  readonly services: readonly ServiceRecord[]
  readonly vip?: string
  readonly host?: string
  readonly hostname?: string
  readonly clientNamespace?: string | null
  /** `namespace/name`. */
  readonly expected: string | null
}

export interface BaggageCase extends ZtunnelCase {
  readonly headers: readonly string[]
  readonly expected: Readonly<Record<string, string | null>>
}

export interface ForwardedCase extends ZtunnelCase {
  readonly source: string
  readonly serviceHostname: string | null
  readonly expected: string
}

export interface DnsCase extends ZtunnelCase {
  /** File with what is known. */
  readonly state: string
  readonly query: { readonly name: string; readonly type: string }
  readonly expected: {
    readonly code: string
    readonly authoritative: boolean
    readonly answers: readonly { readonly name: string; readonly type: string; readonly data: string }[]
  }
}

export interface DnsState {
  readonly client: WorkloadRecord
  readonly domain: string
  readonly preferredServiceNamespace: string
  readonly services: readonly ServiceRecord[]
  readonly workloads: readonly WorkloadRecord[]
}

export interface OriginNetworkCase extends ZtunnelCase {
  readonly doubleHbone: boolean
  readonly network: string
  readonly expected: Readonly<Record<string, string>>
}
