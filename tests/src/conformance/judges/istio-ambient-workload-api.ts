import {
  canaryWeight,
  type EndpointSlice,
  type Gateway,
  type GatewayClass,
  ingressUseWaypoint,
  type Pod,
  type Resource,
  type Service,
  useWaypointCanary,
} from '@ambient-lab/api'
import {
  allowedRoutes,
  entryServices,
  inboundBinding,
  meshService,
  owningWaypoints,
  parseCidr,
  podWorkload,
  SERVICE_ENTRIES,
  SERVICES,
  type ServiceEntry,
  selectEntries,
  serviceEntryWorkloads,
  serviceScope,
  serviceWaypoint,
  sliceWorkloads,
  type TranslationView,
  toNetworkAddress,
  WORKLOAD_ENTRIES,
  type WorkloadEntry,
  waypointBound,
  workloadEntryWorkload,
} from '@ambient-lab/control-plane'
import { allOf, same } from '../expectation.ts'
import { defineJudge, skipped, type Verdict } from '../judge.ts'
import { type TypedInput, type WorkloadApiCase, withLabelNames } from '../workload-api/cases.ts'
import { plain } from '../workload-api/plain.ts'
import { viewFor } from '../workload-api/world.ts'

/** istiod's own tests of its workload index: which workloads and services it sends, and what it says about them. */
export default defineJudge<WorkloadApiCase>({
  corpus: 'istio-ambient-workload-api',
  judge: (item) => judgeRow(withLabelNames(item)),
})

type Labels = Readonly<Record<string, string>>

function judgeRow(item: WorkloadApiCase): Verdict {
  const { input, expected } = item
  const view = viewFor(input)
  const labels = (part: string) => (input[part] as Labels | null) ?? undefined
  const record = (got: unknown) => same(plain(got), plain(ofGateways(expected.result, input.inputs)))
  switch (item.function) {
    case 'TestPodWorkloads':
      return record(podWorkload(input.pod as Pod, view))
    case 'TestServiceServices':
      return record(meshService(input.svc as Service, view))
    case 'TestServiceEntryServices':
      return judgeEntryServices(item, view)
    case 'TestServiceEntryWorkloads':
      return record(serviceEntryWorkloads(input.se as ServiceEntry, view))
    case 'TestWorkloadEntryWorkloads':
      return record(workloadEntryWorkload(input.we as WorkloadEntry, view))
    case 'TestEndpointSliceWorkloads':
      return record(sliceWorkloads(input.slice as EndpointSlice, view))
    case 'TestServiceConditions':
      return judgeCondition(expected, waypointBound(SERVICES, input.svc as Resource, view))
    case 'TestServiceEntryConditions':
      return judgeCondition(expected, waypointBound(SERVICE_ENTRIES, input.se as Resource, view))
    case 'TestWorkloadEntryConditions':
      return judgeCondition(expected, waypointBound(WORKLOAD_ENTRIES, input.we as Resource, view))
    case 'TestMatchServiceScope':
      return same(serviceScope(input.svc as Service, view), expected.want)
    case 'TestSelectWorkloadServices':
      return judgeSelection(item)
    case 'TestServiceOwningWaypoints':
      return same(
        owningWaypoints((input.svc as Parameters<typeof owningWaypoints>[0] | null) ?? undefined),
        expected.want ?? [],
      )
    case 'TestMakeAllowedRoutes':
      return judgeAllowedRoutes(item)
    case 'TestGetUseWaypointCanary':
      return same(
        useWaypointCanary(labels('labels'), labels('nsLabels'), input.defaultNS as string) ?? null,
        expected.want,
      )
    case 'TestGetCanaryWeight':
      return judgeWeight(expected, canaryWeight(labels('anns'), labels('nsAnns')))
    case 'TestIngressUseWaypointFromLabels':
      return same(
        ingressUseWaypoint(labels('serviceLabels'), labels('namespaceLabels')),
        expected.wantPresent ? expected.wantUseWaypoint : undefined,
      )
    case 'TestParseCidrOrIP':
      return same(parseCidr(input.input as string) ?? null, expected.want ?? null)
    case 'TestToNetworkAddressFromCidr':
      return same(toNetworkAddress(input.vip as string, 'test'), expected.want)
    default:
      return skipped(`no judge for table "${item.function}"`)
  }
}

/** Which of several entries is canonical is decided after this table's step: TestSelectWorkloadServices. */
function judgeEntryServices({ input, expected }: WorkloadApiCase, view: TranslationView): Verdict {
  const entry = input.se as ServiceEntry
  const services = entryServices(entry, view)
  return allOf(
    same(
      plain(services.map((service) => ({ ...service, canonical: false }))),
      plain(ofGateways(expected.result, input.inputs)),
    ),
    () => same(serviceWaypoint(view, entry, services[0]?.visibility).finding ?? null, expected.waypointErr ?? null),
  )
}

function judgeCondition(expected: WorkloadApiCase['expected'], got: ReturnType<typeof waypointBound>): Verdict {
  const { 'istio.io/WaypointBound': want } = expected.conditions as Record<string, unknown>
  return same(got ? { ...got, status: got.status === 'True' } : null, want)
}

function judgeWeight({ wantValid, wantWeight }: WorkloadApiCase['expected'], got: number | undefined): Verdict {
  return same({ valid: got !== undefined, weight: got ?? 0 }, { valid: wantValid, weight: wantWeight })
}

interface ServiceInfoRecord {
  readonly creationTime: number
  readonly service: {
    readonly name: string
    readonly namespace: string
    readonly visibility: 'PUBLIC' | 'NAMESPACE'
  }
}

function judgeSelection({ input, expected }: WorkloadApiCase): Verdict {
  const candidates = (input.inputs ?? []).map(({ value }) => {
    const { service, creationTime } = value.serviceInfo as ServiceInfoRecord
    const { name, namespace, visibility } = service
    return { name, namespace, visibility, createdAt: new Date(creationTime * 1000).toISOString() }
  })
  const { winners, canonical } = selectEntries(candidates)
  return same(
    { winners: Object.fromEntries(winners), canonical: canonical?.split('/')[1] },
    { winners: expected.wantWinners, canonical: expected.wantCanonical },
  )
}

/** Selectors that select everything are not told apart from none. */
function judgeAllowedRoutes({ input, expected }: WorkloadApiCase): Verdict {
  const gateway = input.gateway as Gateway
  const got = allowedRoutes(gateway, inboundBinding(gateway, input.gatewayClass as GatewayClass))
  return same(got.from, (expected.expected as { readonly fromNamespaces: string }).fromNamespaces)
}

/** The tables put a waypoint's host name into any namespace; ours is in its Gateway's. */
function ofGateways(want: unknown, inputs: readonly TypedInput[] = []): unknown {
  const homes = new Map(
    inputs.flatMap(({ type, value }) => {
      if (type !== 'Waypoint') return []
      const { address, named } = value as {
        readonly address: { readonly hostname: { readonly hostname: string } }
        readonly named: { readonly namespace: string }
      }
      return [[address.hostname.hostname, named.namespace] as const]
    }),
  )
  return JSON.parse(JSON.stringify(want ?? null), (_, value) => {
    if (homes.has(value?.hostname) && Object.keys(value).length === 2) {
      return { ...value, namespace: homes.get(value.hostname) }
    }
    return value?.hostname?.hostname === undefined ? value : { hboneMtlsPort: HBONE_PORT, ...value }
  })
}

/** Where every waypoint takes its traffic; some rows leave it out. */
const HBONE_PORT = 15008
