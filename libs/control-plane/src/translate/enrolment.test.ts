import type { Pod } from '@ambient-lab/api'
import type { Assignment, Workload } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { NAMESPACES } from '../stored-kinds.ts'
import podAssignment from './pod-assignment.ts'
import podWorkload from './pod-workload.ts'
import { viewOf } from './view.conformance.ts'

interface Said {
  readonly inNamespace?: string
  readonly ofNamespace?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly hostNetwork?: boolean
}

const MODE = 'istio.io/dataplane-mode'
const AMBIENT = { [MODE]: 'ambient' }
const NONE = { [MODE]: 'none' }

/** What the pod's node has to do, and what its peers are told. */
function translated(said: Said): { readonly assignment: Assignment; readonly workload: Workload } {
  const { inNamespace: namespace = 'shop', ofNamespace = {}, labels = {}, annotations = {}, hostNetwork } = said
  const view = viewOf([
    [NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels: ofNamespace } }],
  ])
  const pod: Pod = {
    ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', namespace, labels, annotations } },
    spec: { nodeName: 'n1', containers: [{ name: 'web', image: 'web' }], ...(hostNetwork && { hostNetwork }) },
    status: { phase: 'Running', podIP: '10.244.1.5' },
  }
  const [assigned] = podAssignment.translate(pod, view)
  const [address] = podWorkload.translate(pod, view)
  const { workload } = address!.resource as { workload: Workload }
  return { assignment: assigned!.resource, workload }
}

describe('a pod is captured', () => {
  it.each<[string, Said, boolean]>([
    ['as its namespace says', { ofNamespace: AMBIENT }, true],
    ['as it says itself', { labels: AMBIENT }, true],
    ['not where nobody says so', {}, false],
    ['not against its own word', { ofNamespace: AMBIENT, labels: NONE }, false],
    ['against its namespace’s word', { ofNamespace: NONE, labels: AMBIENT }, true],
    ['not for another mode', { labels: { [MODE]: 'sidecar' } }, false],
    ['not on the network of its host', { ofNamespace: AMBIENT, hostNetwork: true }, false],
    ['not beside a sidecar', { ofNamespace: AMBIENT, annotations: { 'sidecar.istio.io/status': '{}' } }, false],
    ['not in a namespace of the system', { inNamespace: 'kube-system', ofNamespace: AMBIENT, labels: AMBIENT }, false],
  ])('%s', (_, said, captured) => {
    expect(translated(said).assignment.captured).toBe(captured)
  })
})

describe('the peers of a pod tunnel to it', () => {
  const REDIRECTED = { 'ambient.istio.io/redirection': 'enabled' }

  it.each<[string, Said, Workload['tunnelProtocol'], boolean]>([
    ['when its node has captured it', { annotations: REDIRECTED }, 'HBONE', false],
    ['not before', { ofNamespace: AMBIENT }, 'NONE', false],
    ['not while that is pending', { annotations: { 'ambient.istio.io/redirection': 'pending' } }, 'NONE', false],
    ['when it speaks HBONE itself', { labels: { 'networking.istio.io/tunnel': 'http' } }, 'HBONE', true],
    ['not on the network of its host', { annotations: REDIRECTED, hostNetwork: true }, 'NONE', false],
  ])('%s', (_, said, tunnelProtocol, nativeTunnel) => {
    expect(translated(said).workload).toMatchObject({ tunnelProtocol, nativeTunnel })
  })
})

describe('a pod passes by', () => {
  const INBOUND = 'ambient.istio.io/bypass-inbound-capture'
  const DNS = 'ambient.istio.io/dns-capture'

  it.each<[string, Readonly<Record<string, string>>, Partial<Assignment>]>([
    ['nothing unasked', {}, {}],
    ['what is captured of what it receives', { [INBOUND]: 'true' }, { bypassesInboundCapture: true }],
    ['nothing for another word', { [INBOUND]: 'yes', [DNS]: 'no' }, {}],
    ['the names of the mesh', { [DNS]: 'false' }, { bypassesDnsCapture: true }],
    ['nothing when it asks for the default', { [INBOUND]: 'false', [DNS]: 'true' }, {}],
  ])('%s', (_, annotations, expected) => {
    const { assignment } = translated({ ofNamespace: AMBIENT, annotations })
    const { bypassesInboundCapture, bypassesDnsCapture, captured } = assignment
    expect({ bypassesInboundCapture, bypassesDnsCapture, captured }).toEqual({
      ...{ bypassesInboundCapture: undefined, bypassesDnsCapture: undefined, captured: true },
      ...expected,
    })
  })
})
