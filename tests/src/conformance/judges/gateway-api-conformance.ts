import { applyDefaults, findKind, loadManifest, type Resource } from '@ambient-lab/api'
import type { KnownType } from '@ambient-lab/control-plane'
import { TestCertificates } from '@ambient-lab/testing'
import { InProcessLab } from '../gateway-api/in-process-lab.ts'
import { judgeStatus, type StatusCheck } from '../gateway-api/status-checks.ts'
import { suiteObjects } from '../gateway-api/suite-objects.ts'
import { typedObject } from '../gateway-conversion/manifests.ts'
import { type CorpusCase, defineJudge, type JudgeContext, skipped, type Verdict } from '../judge.ts'
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
  readonly cases?: readonly unknown[]
  readonly status?: readonly StatusCheck[]
  readonly mutations?: readonly Mutation[]
}

const PLACEHOLDERS: Readonly<Record<string, string>> = {
  '{GATEWAY_CLASS_NAME}': 'istio',
  '{CONTROLLER_NAME}': 'istio.io/gateway-controller',
  '{GATEWAY_CONTROLLER_NAME}': 'istio.io/gateway-controller',
}

/** Features that the lab does not claim: a run of the suite skips the tests that need them. */
const UNCLAIMED: Readonly<Record<string, string>> = {
  UDPRoute: 'the lab carries no UDP',
  HTTPRouteBackendURLRewrite: 'the lab rewrites by rule, not by backend',
}

/** Tests that Istio's own runs leave out, and those for implementations that lack what the lab has. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  GatewayListenerUnsupportedProtocol: 'Istio leaves it out: it says Accepted of a Gateway that has a valid listener',
  TLSRouteListenerMixedTerminationNotSupported: 'the lab ends TLS and lets it through on one port',
}

/** The official suite's checks of statuses, against a control plane in this process; requests are sent elsewhere. */
export default defineJudge<GatewayApiCase>({
  corpus: 'gateway-api-conformance',
  async judge({ id, features = [], manifests, cases = [], status = [], mutations = [] }, context) {
    const reason = LEFT_OUT[id] ?? features.flatMap((feature) => UNCLAIMED[feature] ?? [])[0]
    if (reason) return skipped(reason)
    const traffic = cases.length > 0 ? [{ name: 'requests', ...skipped('requests need a data plane that runs') }] : []
    if (status.length === 0) return traffic[0] ?? skipped('there is nothing in it to judge')
    await using lab = await InProcessLab.start()
    await lab.apply([...(await objectsOf(manifests, context)), ...suiteObjects(context.once(keyPair))])
    const checks: (Verdict & { readonly name: string })[] = []
    for (const step of [...status, ...mutations].toSorted((a, b) => a.seq - b.seq)) {
      if ('do' in step) await mutate(step, lab)
      else checks.push({ name: `${step.seq} ${step.check} ${step.name ?? ''}`.trim(), ...judgeStatus(step, lab) })
    }
    return { checks: [...checks, ...traffic] }
  },
})

async function objectsOf(files: readonly string[], { folder }: JudgeContext): Promise<TypedObject[]> {
  const objects: TypedObject[] = []
  for (const file of files) {
    const text = Object.entries(PLACEHOLDERS).reduce((all, [from, to]) => all.replaceAll(from, to), folder.text(file))
    const { resources } = await loadManifest(text, { file, defaultNamespace: 'default' })
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
