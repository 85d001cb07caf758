import { applyDefaults, findKind, loadManifest, type Resource } from '@ambient-lab/api'
import { GATEWAYS, type KnownType } from '@ambient-lab/control-plane'
import { TestCertificates } from '@ambient-lab/testing'
import type { CorpusFolder } from '../corpus.ts'
import type { TrafficCheck } from '../gateway-api/cases.ts'
import { InProcessLab } from '../gateway-api/in-process-lab.ts'
import { readSuiteManifest } from '../gateway-api/manifests.ts'
import { judgeStatus, type StatusCheck } from '../gateway-api/status-checks.ts'
import { suiteObjects } from '../gateway-api/suite-objects.ts'
import { judgeTraffic } from '../gateway-api/traffic-checks.ts'
import { BASES, TrafficLab } from '../gateway-api/traffic-lab.ts'
import { typedObject } from '../gateway-conversion/manifests.ts'
import { type CorpusCase, defineJudge, failed, type JudgeContext, PASSED, skipped, type Verdict } from '../judge.ts'
import type { TypedObject } from '../object-list.ts'

interface Mutation {
  readonly seq: number
  readonly do: 'patch' | 'apply' | 'delete'
  /** `Kind namespace/name`, or the object itself. */
  readonly object: string | Resource
  readonly set?: Readonly<Record<string, unknown>>
  readonly append?: Readonly<Record<string, unknown>>
}

export interface GatewayApiCase extends CorpusCase {
  readonly features?: readonly string[]
  readonly manifests: readonly string[]
  readonly cases?: readonly TrafficCheck[]
  readonly status?: readonly StatusCheck[]
  readonly mutations?: readonly Mutation[]
}

/** Features that the lab does not claim: a run of the suite skips the tests that need them. */
const UNCLAIMED: Readonly<Record<string, string>> = {
  UDPRoute: 'the lab carries no UDP',
  HTTPRouteRetryBackendTimeout: 'as in Istio, a try that times out is not tried again by that alone',
  HTTPRouteBackendURLRewrite: 'the lab rewrites by rule, not by backend',
}

/** Tests that Istio's own runs leave out, and those for implementations that lack what the lab has. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  GatewayListenerUnsupportedProtocol: 'Istio leaves it out: it says Accepted of a Gateway that has a valid listener',
  TLSRouteListenerMixedTerminationNotSupported: 'the lab ends TLS and lets it through on one port',
}

/** What the corpus did not get right of a test's request, by test and `seq`. */
const CORRECTIONS: Readonly<Record<string, Partial<TrafficCheck>>> = {
  // The host name of the route that ends TLS, not of the one that lets it through.
  'TLSRouteMixedTerminationSameNamespace 6': { serverName: 'tls.example.com' },
}

/** The official suite: statuses against a control plane in this process, requests through a lab that all cases share. */
export default defineJudge<GatewayApiCase>({
  corpus: 'gateway-api-conformance',
  async judge(item, context) {
    const reason = LEFT_OUT[item.id] ?? (item.features ?? []).flatMap((feature) => UNCLAIMED[feature] ?? [])[0]
    if (reason) return skipped(reason)
    return { checks: [...(await statusChecks(item, context)), ...(await trafficChecks(item, context))] }
  },
})

type NamedVerdict = Verdict & { readonly name: string }

async function statusChecks(item: GatewayApiCase, context: JudgeContext): Promise<NamedVerdict[]> {
  const { manifests, status = [], mutations = [] } = item
  const objects = (item.cases ?? []).filter(isAboutObjects)
  if (status.length + objects.length === 0) return []
  await using lab = await InProcessLab.start()
  const { certificatePem, keyPem } = context.once(keyPair)
  const certificates = { keyPair: () => ({ certificatePem, keyPem }), authority: () => certificatePem }
  await lab.apply([...(await objectsOf(manifests, context)), ...suiteObjects(certificates)])
  const checks: NamedVerdict[] = []
  for (const step of [...status, ...mutations].toSorted((a, b) => a.seq - b.seq)) {
    if ('do' in step) await mutate(step, lab)
    else checks.push({ name: `${step.seq} ${step.check} ${step.name ?? ''}`.trim(), ...judgeStatus(step, lab) })
  }
  for (const { seq, name } of objects) checks.push({ name: `${seq} ${name}`, ...judgeAddresses(lab) })
  return checks
}

function isAboutObjects({ kind }: TrafficCheck): boolean {
  return kind === 'k8s-objects'
}

/** The one such check that there is, in words: a Gateway that leaves its address open gets one. */
function judgeAddresses(lab: InProcessLab): Verdict {
  const gateway = lab.get(GATEWAYS, 'gateway-conformance-infra/gateway-without-address-value')
  const [address] = gateway?.status?.addresses ?? []
  return address?.type && address.value ? PASSED : failed(`addresses ${JSON.stringify(gateway?.status?.addresses)}`)
}

async function trafficChecks(item: GatewayApiCase, context: JudgeContext): Promise<NamedVerdict[]> {
  const { id, manifests, mutations = [] } = item
  const cases = (item.cases ?? [])
    .filter((check) => !isAboutObjects(check))
    .map((check) => ({ ...check, ...CORRECTIONS[`${id} ${check.seq}`] }))
  if (cases.length === 0) return []
  const lab = await context.once(startLab)
  const checks: NamedVerdict[] = []
  const own = manifests.filter((file) => !BASES.includes(file)).map((file) => readSuiteManifest(context.folder, file))
  const later = mutations.flatMap(({ do: action, object }) => (action === 'apply' ? JSON.stringify(object) : []))
  await lab.under([own, later], async () => {
    for (const mutation of mutations) if (mutation.do === 'patch') await fillEndpoints(mutation, lab)
    for (const [index, check] of cases.entries()) {
      const verdict = await judgeTraffic(check, cases[index - 1], lab)
      checks.push({ name: `${check.seq} ${check.name ?? check.kind}`, ...verdict })
    }
  })
  return checks
}

function startLab(folder: CorpusFolder): Promise<TrafficLab> {
  return TrafficLab.start(folder)
}

/** The suite writes the addresses of pods into slices that no selector fills; the lab's are of IPv4. */
async function fillEndpoints({ object, set = {} }: Mutation, lab: TrafficLab): Promise<void> {
  if (typeof object !== 'string' || !object.startsWith('EndpointSlice ') || !String(set.endpoints).includes('IPv4'))
    return
  const pods = await lab.pods('gateway-conformance-infra', { app: 'infra-backend-v1' })
  const endpoints = pods.map(({ status }) => ({ addresses: [status?.podIP], conditions: { ready: true } }))
  await lab.patch('endpointslices', object.slice('EndpointSlice '.length), { endpoints })
}

async function objectsOf(files: readonly string[], { folder }: JudgeContext): Promise<TypedObject[]> {
  const objects: TypedObject[] = []
  for (const file of files) {
    const { resources } = await loadManifest(readSuiteManifest(folder, file), { file, defaultNamespace: 'default' })
    for (const { object } of resources) {
      const typed = typedObject(withDefaults(object))
      if (typed) objects.push(typed)
    }
  }
  return objects
}

/** As an API server would store it. */
function withDefaults(object: Resource): Resource {
  const kind = findKind(object)
  return kind ? applyDefaults(kind, object) : object
}

async function mutate({ do: action, object, set = {}, append = {} }: Mutation, lab: InProcessLab): Promise<void> {
  if (typeof object !== 'string') {
    const typed = typedObject(object)
    if (typed) await lab.apply([typed])
    return
  }
  const found = findByWord(object, lab)
  if (!found) return
  const [type, current] = found
  const { namespace, name } = current.metadata
  if (action === 'delete') return lab.remove(type, namespace ? `${namespace}/${name}` : name)
  const changed = structuredClone(current) as Resource
  for (const [path, value] of Object.entries(set)) setAt(changed, path, () => value)
  for (const [path, value] of Object.entries(append)) setAt(changed, path, (list) => [...(list as unknown[]), value])
  await lab.apply([[type, changed]])
}

/** `Gateway gateway-conformance-infra/name` */
function findByWord(word: string, lab: InProcessLab): readonly [KnownType, Resource] | undefined {
  const [kind = '', key = ''] = word.split(' ')
  const group = ['Gateway', 'GatewayClass', 'ReferenceGrant', 'BackendTLSPolicy'].includes(kind)
    ? 'gateway.networking.k8s.io/v1'
    : 'discovery.k8s.io/v1'
  const typed = typedObject({ apiVersion: group, kind, metadata: { name: '' } })
  const object = typed && (lab.get(typed[0], key.replace(/^\//, '')) as Resource | undefined)
  return object && [typed[0], object]
}

function setAt(object: Resource, path: string, change: (before: unknown) => unknown): void {
  const fields = path.split('.')
  const last = fields.pop()!
  let at = object as unknown as Record<string, unknown>
  for (const field of fields) at = at[field] as Record<string, unknown>
  at[last] = change(at[last])
}

function keyPair() {
  const { chainPem, privateKeyPem } = new TestCertificates().svid('istio-system/gateway')
  return { certificatePem: chainPem, keyPem: privateKeyPem }
}
