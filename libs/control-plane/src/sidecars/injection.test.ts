import { hasSidecar, type Namespace, type Pod, wantsCapture, wantsSidecar } from '@ambient-lab/api'
import { describe, expect, it } from 'vitest'
import { injected } from './injection.ts'

type Labels = Readonly<Record<string, string>>

function podOf(labels: Labels = {}, more: { annotations?: Labels; spec?: object; namespace?: string } = {}): Pod {
  const { annotations = {}, spec = {}, namespace = 'shop' } = more
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'a', namespace, labels, annotations },
    spec: { containers: [{ name: 'app' }], ...spec },
  }
}

function namespaceOf(labels: Labels): Namespace {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop', labels } }
}

describe('a pod gets a sidecar', () => {
  const INJECT = 'sidecar.istio.io/inject'
  const ENABLED = { 'istio-injection': 'enabled' }
  const DISABLED = { 'istio-injection': 'disabled' }
  it.each<[string, Labels, Pod, boolean]>([
    ['nobody says anything', {}, podOf(), false],
    ['its namespace asks for it', ENABLED, podOf(), true],
    ['its namespace names a revision', { 'istio.io/rev': 'canary' }, podOf(), true],
    ['its namespace refuses, whatever revision it names', { ...DISABLED, 'istio.io/rev': 'canary' }, podOf(), false],
    ['its namespace says something else', { 'istio-injection': 'yes' }, podOf(), false],
    ['its own label asks for it', {}, podOf({ [INJECT]: 'true' }), true],
    ['its own label asks with another word', {}, podOf({ [INJECT]: 'Yes' }), true],
    ['its own label refuses where its namespace asks', ENABLED, podOf({ [INJECT]: 'false' }), false],
    ['its own label says something else', ENABLED, podOf({ [INJECT]: 'maybe' }), false],
    ['its own label asks where its namespace refuses', DISABLED, podOf({ [INJECT]: 'true' }), false],
    ['it names a revision itself', {}, podOf({ 'istio.io/rev': 'default' }), true],
    ['its annotation refuses', ENABLED, podOf({}, { annotations: { [INJECT]: 'false' } }), false],
    ['its annotation alone asks', {}, podOf({}, { annotations: { [INJECT]: 'true' } }), false],
    [
      'its label counts before its annotation',
      ENABLED,
      podOf({ [INJECT]: 'true' }, { annotations: { [INJECT]: 'false' } }),
      true,
    ],
    [
      'what it asks for is a gateway',
      {},
      podOf({ [INJECT]: 'true' }, { annotations: { 'inject.istio.io/templates': 'gateway' } }),
      false,
    ],
    [
      'it asks for something besides',
      {},
      podOf({ [INJECT]: 'true' }, { annotations: { 'inject.istio.io/templates': 'sidecar,spire' } }),
      true,
    ],
    ['it shares the network of its node', ENABLED, podOf({}, { spec: { hostNetwork: true } }), false],
    ['it is of the system', ENABLED, podOf({}, { namespace: 'kube-system' }), false],
    ['its namespace is ambient as well', { ...ENABLED, 'istio.io/dataplane-mode': 'ambient' }, podOf(), true],
  ])('or not: %s', (_title, labels, pod, expected) => {
    expect(wantsSidecar(pod, namespaceOf(labels))).toBe(expected)
    expect(hasSidecar(injected(pod, namespaceOf(labels)))).toBe(expected)
  })

  it('has what users of Istio look for', () => {
    const pod = injected(podOf({ app: 'reviews', version: 'v2' }), namespaceOf(ENABLED))
    expect(pod.spec?.containers.map(({ name }) => name)).toEqual(['app', 'istio-proxy'])
    expect(pod.metadata.labels).toMatchObject({
      'security.istio.io/tlsMode': 'istio',
      'service.istio.io/canonical-name': 'reviews',
      'service.istio.io/canonical-revision': 'v2',
    })
    expect(pod.metadata.annotations?.['kubectl.kubernetes.io/default-container']).toBe('app')
    const status = JSON.parse(pod.metadata.annotations?.['sidecar.istio.io/status'] ?? '')
    expect(status).toMatchObject({ containers: ['istio-proxy'], revision: 'default' })
  })

  it('is injected once', () => {
    const once = injected(podOf(), namespaceOf(ENABLED))
    expect(injected(once, namespaceOf(ENABLED))).toBe(once)
  })

  it('keeps a container that its author wrote for it', () => {
    const written = { name: 'istio-proxy', image: 'auto', args: ['proxy', '--log'] }
    const pod = injected(podOf({}, { spec: { containers: [{ name: 'app' }, written] } }), namespaceOf(ENABLED))
    expect(pod.spec?.containers).toEqual([{ name: 'app' }, written])
    expect(hasSidecar(pod)).toBe(true)
  })

  it('is no ambient pod any more, though its namespace is', () => {
    const namespace = namespaceOf({ ...ENABLED, 'istio.io/dataplane-mode': 'ambient' })
    expect(wantsCapture(podOf(), namespace)).toBe(true)
    expect(wantsCapture(injected(podOf(), namespace), namespace)).toBe(false)
  })

  it('is not believed to have one without its container', () => {
    expect(hasSidecar(podOf({}, { annotations: { 'sidecar.istio.io/status': '{}' } }))).toBe(false)
  })
})
