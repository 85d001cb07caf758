import {
  INT32,
  NETWORKING_WORKLOAD_SELECTOR,
  type NetworkingWorkloadSelector,
  PORT_NUMBER,
  TARGET_REFS,
  UINT32,
} from '../istio-fields.ts'
import { defineKind } from '../kind.ts'
import type { PolicyTargetReference } from '../reference.ts'
import type { Resource } from '../resource.ts'
import { ANY_OBJECT, array, atMostOneOf, object, oneOf, STATUS, STRING_MAP, string, withRules } from '../schema.ts'

const APPLY_TO = [
  ...['INVALID', 'LISTENER', 'FILTER_CHAIN', 'NETWORK_FILTER', 'HTTP_FILTER', 'ROUTE_CONFIGURATION', 'VIRTUAL_HOST'],
  ...['HTTP_ROUTE', 'CLUSTER', 'EXTENSION_CONFIG', 'BOOTSTRAP', 'LISTENER_FILTER'],
]
const OPERATIONS = [
  ...['INVALID', 'MERGE', 'ADD', 'REMOVE', 'INSERT_BEFORE', 'INSERT_AFTER', 'INSERT_FIRST', 'REPLACE'],
  'MERGE_AND_REPLACE_LIST',
]

export interface EnvoyFilterMatch {
  readonly context?: 'ANY' | 'SIDECAR_INBOUND' | 'SIDECAR_OUTBOUND' | 'GATEWAY' | 'WAYPOINT'
  readonly proxy?: { readonly proxyVersion?: string; readonly metadata?: Readonly<Record<string, string>> }
  readonly listener?: {
    readonly portNumber?: number
    readonly portName?: string
    readonly name?: string
    readonly listenerFilter?: string
    readonly filterChain?: EnvoyFilterChainMatch
  }
  readonly routeConfiguration?: {
    readonly portNumber?: number
    readonly portName?: string
    readonly gateway?: string
    readonly name?: string
    readonly vhost?: {
      readonly name?: string
      readonly domainName?: string
      readonly route?: { readonly name?: string; readonly action?: 'ANY' | 'ROUTE' | 'REDIRECT' | 'DIRECT_RESPONSE' }
    }
  }
  readonly cluster?: {
    readonly portNumber?: number
    readonly service?: string
    readonly subset?: string
    readonly name?: string
  }
  readonly waypoint?: {
    readonly portNumber?: number
    readonly filter?: EnvoyFilterName
    readonly route?: { readonly name?: string }
  }
}

export interface EnvoyFilterName {
  readonly name?: string
  readonly subFilter?: { readonly name?: string }
}

export interface EnvoyFilterChainMatch {
  readonly name?: string
  readonly sni?: string
  readonly transportProtocol?: string
  readonly transportSocket?: string
  readonly applicationProtocols?: string
  readonly destinationPort?: number
  readonly filter?: EnvoyFilterName
}

export interface EnvoyConfigPatch {
  readonly applyTo?: string
  readonly match?: EnvoyFilterMatch
  readonly patch?: {
    readonly operation?: string
    /** Envoy's own configuration. */
    readonly value?: Readonly<Record<string, unknown>>
    readonly filterClass?: 'UNSPECIFIED' | 'AUTHN' | 'AUTHZ' | 'STATS'
  }
}

export interface EnvoyFilterSpec {
  readonly workloadSelector?: NetworkingWorkloadSelector
  readonly targetRefs?: readonly PolicyTargetReference[]
  readonly configPatches?: readonly EnvoyConfigPatch[]
  readonly priority?: number
}

export type EnvoyFilter = Resource<EnvoyFilterSpec>

const FILTER = object({ name: string(), subFilter: object({ name: string() }) })

const FILTER_CHAIN = object({
  applicationProtocols: string(),
  destinationPort: UINT32,
  filter: FILTER,
  name: string(),
  sni: string(),
  transportProtocol: string(),
  transportSocket: string(),
})

const VIRTUAL_HOST = object({
  domainName: string(),
  name: string(),
  route: object({ action: oneOf('ANY', 'ROUTE', 'REDIRECT', 'DIRECT_RESPONSE'), name: string() }),
})

const MATCH = withRules<EnvoyFilterMatch>(
  atMostOneOf(
    object({
      cluster: object({ name: string(), portNumber: UINT32, service: string(), subset: string() }),
      context: oneOf('ANY', 'SIDECAR_INBOUND', 'SIDECAR_OUTBOUND', 'GATEWAY', 'WAYPOINT'),
      listener: object({
        filterChain: FILTER_CHAIN,
        listenerFilter: string(),
        name: string(),
        portName: string(),
        portNumber: UINT32,
      }),
      proxy: object({ metadata: STRING_MAP, proxyVersion: string() }),
      routeConfiguration: object({
        gateway: string(),
        name: string(),
        portName: string(),
        portNumber: UINT32,
        vhost: VIRTUAL_HOST,
      }),
      waypoint: object({ filter: FILTER, portNumber: PORT_NUMBER, route: object({ name: string() }) }),
    }),
    'listener',
    'routeConfiguration',
    'cluster',
    'waypoint',
  ),
  {
    'only support waypointMatch when context is WAYPOINT': ({ context, waypoint }) =>
      (context === 'WAYPOINT') === (waypoint !== undefined),
  },
)

const HTTP_MANAGER = 'envoy.filters.network.http_connection_manager'
const ROUTE_CLASS = ['ROUTE_CONFIGURATION', 'VIRTUAL_HOST', 'HTTP_ROUTE']

const filterOf = ({ match }: EnvoyConfigPatch) => match?.listener?.filterChain?.filter

const PATCH_RULES: Readonly<Record<string, (patch: EnvoyConfigPatch) => boolean>> = {
  'missing patch value for non-remove operation': ({ patch }) =>
    patch?.operation === 'REMOVE' || patch?.value !== undefined,
  'filter match has no name to match on': (patch) => !filterOf(patch) || !!filterOf(patch)?.name,
  'subfilter match can be used with applyTo HTTP_FILTER only': (patch) =>
    !filterOf(patch)?.subFilter || patch.applyTo === 'HTTP_FILTER',
  [`subfilter match requires filter match with ${HTTP_MANAGER}`]: (patch) =>
    !filterOf(patch)?.subFilter || filterOf(patch)?.name === HTTP_MANAGER,
  'applyTo for http route class objects cannot have non route configuration match': ({ applyTo = '', match = {} }) =>
    !ROUTE_CLASS.includes(applyTo) || (match.listener ?? match.cluster) === undefined,
}

/** Raw Envoy configuration: kept for clusters to take; the lab's proxies are no Envoys and pass it over. */
export default defineKind<EnvoyFilter>({
  group: 'networking.istio.io',
  version: 'v1alpha3',
  kind: 'EnvoyFilter',
  plural: 'envoyfilters',
  categories: ['istio-io', 'networking-istio-io'],
  scope: 'Namespaced',
  schema: object({
    spec: withRules<EnvoyFilterSpec>(
      object({
        configPatches: array(
          withRules<EnvoyConfigPatch>(
            object(
              {
                applyTo: oneOf(...APPLY_TO),
                match: MATCH,
                patch: object({
                  filterClass: oneOf('UNSPECIFIED', 'AUTHN', 'AUTHZ', 'STATS'),
                  operation: oneOf(...OPERATIONS),
                  value: ANY_OBJECT,
                }),
              },
              { required: ['patch'] },
            ),
            PATCH_RULES,
          ),
        ),
        priority: INT32,
        targetRefs: TARGET_REFS,
        workloadSelector: NETWORKING_WORKLOAD_SELECTOR,
      }),
      {
        'only one of targetRefs or workloadSelector can be set': ({ targetRefs, workloadSelector }) =>
          targetRefs === undefined || workloadSelector === undefined,
      },
    ),
    status: STATUS,
  }),
  columns: [],
})
