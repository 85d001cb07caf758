import type { LabelSelector } from '@ambient-lab/api'
import type { ExtensionProvider } from './extension-provider.ts'

/** Settings that are the same for the whole mesh; Istio's MeshConfig and installation values. */
export interface MeshConfig {
  /** @default 'cluster.local' */
  readonly trustDomain: string
  /** Other names of the trust domain, which policies take for the same. @default none */
  readonly trustDomainAliases: readonly string[]
  /** Services that mesh settings and policies name, such as those that CUSTOM policies ask. @default none */
  readonly extensionProviders: readonly ExtensionProvider[]
  /** @default 'Kubernetes' */
  readonly clusterId: string
  /** @default 'cluster.local' */
  readonly clusterDomain: string
  /** @default '' */
  readonly network: string
  /** Where mesh-wide policies live. @default 'istio-system' */
  readonly rootNamespace: string
  /**
   * ztunnels are sent policies in dry run, and log what these would deny: istiod's
   * AMBIENT_ENABLE_DRY_RUN_AUTHORIZATION_POLICY. @default false
   */
  readonly dryRunAtZtunnel: boolean
  /** Which services are known beyond their own cluster: the first that matches decides. @default `istio.io/global: "true"` */
  readonly serviceScopeConfigs: readonly ServiceScopeConfig[]
  /** Who may see a ServiceEntry. @default everybody sees all of them */
  readonly serviceEntryVisibility: ServiceEntryVisibility
  /** Where L7 proxies write their access log; empty: nowhere. @default '/dev/stdout' */
  readonly accessLogFile: string
  /** @default 'TEXT' */
  readonly accessLogEncoding: 'TEXT' | 'JSON'
  /** Envoy's format commands; empty: its default line. @default '' */
  readonly accessLogFormat: string
  /** What becomes of connections of workloads with a sidecar to nowhere that is known. @default ALLOW_ANY */
  readonly outboundTrafficPolicy: { readonly mode: 'ALLOW_ANY' | 'REGISTRY_ONLY' }
  /** How L7 proxies read a path before they decide by it. @default BASE */
  readonly pathNormalization: { readonly normalization: 'NONE' | 'BASE' | 'MERGE_SLASHES' | 'DECODE_AND_MERGE_SLASHES' }
}

/** Both selectors must match where both are given. */
export interface ServiceScopeConfig {
  readonly namespaceSelector?: LabelSelector
  readonly servicesSelector?: LabelSelector
  readonly scope: 'LOCAL' | 'GLOBAL'
}

export interface ServiceEntryVisibility {
  readonly defaultVisibility?: 'PUBLIC' | 'NAMESPACE'
  /** The first of which a rule matches decides. */
  readonly policies?: readonly {
    readonly visibility: 'PUBLIC' | 'NAMESPACE'
    readonly matchingRules?: readonly { readonly namespaceSelector?: LabelSelector }[]
  }[]
}

export const MESH_CONFIG_DEFAULT: MeshConfig = {
  trustDomain: 'cluster.local',
  trustDomainAliases: [],
  extensionProviders: [],
  clusterId: 'Kubernetes',
  clusterDomain: 'cluster.local',
  network: '',
  rootNamespace: 'istio-system',
  dryRunAtZtunnel: false,
  serviceScopeConfigs: [
    {
      servicesSelector: { matchExpressions: [{ key: 'istio.io/global', operator: 'In', values: ['true'] }] },
      scope: 'GLOBAL',
    },
  ],
  serviceEntryVisibility: {},
  accessLogFile: '/dev/stdout',
  accessLogEncoding: 'TEXT',
  accessLogFormat: '',
  outboundTrafficPolicy: { mode: 'ALLOW_ANY' },
  pathNormalization: { normalization: 'BASE' },
}
