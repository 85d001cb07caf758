import type { ConfigMap, Pod, RootRotation, RootRotationStep, Secret, TrustRoot } from '@ambient-lab/api'
import { KINDS } from '@ambient-lab/api'
import {
  CertificateAuthority,
  createCsr,
  generateKeyPair,
  type PluggedAuthority,
  parseCertificates,
  rootOf,
  shortFingerprint,
  TrustBundle,
} from '@ambient-lab/pki'
import { ASSIGNMENT_TYPE, type Assignment, TRUST_TYPE, type Trust } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { ControlPlaneBench, runningReport } from './control-plane.conformance.ts'
import { CONFIG_MAPS, NAMESPACES, PODS, SECRETS } from './stored-kinds.ts'

const USER = { name: 'ambient-admin', groups: ['system:masters'] }
const KEY = 'istio-system/cacerts'
const URI = 'spiffe://cluster.local/ns/default/sa/default'

function secret(parts: Partial<PluggedAuthority>, more: Readonly<Record<string, string>> = {}): Secret {
  const texts: Record<string, string> = {
    'ca-cert.pem': parts.chainPem?.[0] ?? '',
    'ca-key.pem': parts.keyPem ?? '',
    'cert-chain.pem': parts.chainPem?.join('') ?? '',
    'root-cert.pem': parts.rootsPem?.join('') ?? '',
    ...more,
  }
  const data = Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString('base64')])
  return {
    ...{ apiVersion: 'v1', kind: 'Secret', type: 'Opaque' },
    metadata: { name: 'cacerts', namespace: 'istio-system' },
    data: Object.fromEntries(data.filter(([, text]) => text !== '')),
  }
}

function trust(bench: ControlPlaneBench): Trust {
  return bench.resource(TRUST_TYPE, 'cluster.local')!
}

/** Fingerprints of what is trusted, and of the signer's root. */
function state(bench: ControlPlaneBench): { readonly trusted: readonly string[]; readonly signs: string } {
  const { rootsPem } = trust(bench)
  const bundle = TrustBundle.parse('cluster.local', rootsPem)
  const { chainPem } = bench.controlPlane.ca.sign('n1', {
    csrPem: createCsr(generateKeyPair(), { uri: URI }),
    ttlSeconds: 60,
  }) as { chainPem: readonly string[] }
  const chain = parseCertificates(chainPem)
  expect(shortFingerprint(chain[1]!)).toBe(trust(bench).signer)
  return { trusted: bundle.roots.map(shortFingerprint), signs: shortFingerprint(rootOf(chain, bundle)) }
}

async function take(bench: ControlPlaneBench, step: RootRotationStep, force = false): Promise<RootRotation> {
  const object = { apiVersion: 'ambient.lab/v1', kind: 'RootRotation', metadata: { name: 'r' }, spec: { step, force } }
  const create = bench.controlPlane.apiHooks().createOnly!['ambient.lab/rootrotations']!
  const taken = create({ object, user: USER, dryRun: false })
  taken.catch(() => {})
  await bench.settle()
  return (await taken) as RootRotation
}

async function roots(bench: ControlPlaneBench): Promise<readonly TrustRoot[]> {
  const virtual = bench.controlPlane.apiHooks().virtual!['ambient.lab/trustroots']!
  const query = { namespace: undefined, name: undefined, labelSelector: '', fieldSelector: '', user: USER }
  return (await virtual.list({ ...query, signal: new AbortController().signal })).items as readonly TrustRoot[]
}

/** A node with one pod, whose agent says of its certificate what it is told to. */
async function withPod(bench: ControlPlaneBench) {
  const agent = await bench.join('n1')
  const pod: Pod = {
    ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', namespace: 'default' } },
    spec: { nodeName: 'n1', containers: [{ name: 'web', image: 'ambient-lab/echo' }] },
  }
  await bench.create(PODS, pod)
  return async (root: string, trusts: readonly string[]) => {
    const certificate = { state: 'Available', notAfterMs: 1, reason: '', serialNumber: '11', root, trusts } as const
    const [assignment] = agent.held.get(ASSIGNMENT_TYPE)!.values()
    agent.report({ ...runningReport(assignment as Assignment), certificate })
    await bench.settle()
  }
}

describe('the authority of the mesh', () => {
  it('is the lab’s own where nobody plugs one in, and every namespace knows its root', async () => {
    await using bench = await ControlPlaneBench.start()
    const { authority } = bench.controlPlane.ca
    expect(trust(bench)).toMatchObject({ rootsPem: authority.rootsPem, revocationListsPem: '' })
    for (const { metadata } of bench.list(NAMESPACES)) {
      const map = bench.get(CONFIG_MAPS, `${metadata.name}/istio-ca-root-cert`)
      expect(map.data).toEqual({ 'root-cert.pem': authority.rootsPem.join('') })
      expect(bench.controlPlane.cluster.get(CONFIG_MAPS, `${metadata.name}/istio-ca-crl`)).toBeUndefined()
    }
    await bench.controlPlane.cluster.update(CONFIG_MAPS, 'default/istio-ca-root-cert', (map: ConfigMap) => ({
      ...map,
      data: {},
    }))
    await bench.settle()
    expect(bench.get(CONFIG_MAPS, 'default/istio-ca-root-cert').data?.['root-cert.pem']).toBe(authority.rootsPem[0])
  })

  it('is the one in the Secret cacerts, from the start and while it runs; nodes stay with the lab’s own', async () => {
    await using bench = await ControlPlaneBench.start()
    await withPod(bench)
    const plugged = CertificateAuthority.create({ clock: bench.clock }, { generation: 'theirs' })
    const list = plugged.revocationList(['11'])
    await bench.create(SECRETS, secret(plugged.plugged(), { 'ca-crl.pem': list }))
    const theirs = shortFingerprint(plugged.root)
    expect(state(bench)).toEqual({ trusted: [theirs], signs: theirs })
    expect(trust(bench).revocationListsPem).toBe(list)
    expect(bench.get(CONFIG_MAPS, 'default/istio-ca-crl').data).toEqual({ 'ca-crl.pem': list })
    expect(bench.controlPlane.ca.authority.rootsPem).not.toEqual(plugged.rootsPem)
    await using again = await ControlPlaneBench.start({ clock: bench.clock, store: bench.store })
    expect(trust(again)).toEqual(trust(bench))
    await again.controlPlane.cluster.remove(SECRETS, KEY)
    await again.settle()
    expect(trust(again).rootsPem).toEqual(again.controlPlane.ca.authority.rootsPem)
    expect(again.controlPlane.cluster.get(CONFIG_MAPS, 'default/istio-ca-crl')).toBeUndefined()
  })

  it.each<[string, (a: CertificateAuthority, b: CertificateAuthority) => Secret, string]>([
    ['no key', (a) => secret({ ...a.plugged(), keyPem: '' }), 'ca-key.pem: is missing'],
    ['no root', (a) => secret({ ...a.plugged(), rootsPem: [] }), 'root-cert.pem: is missing'],
    ['no certificate', (a) => secret({ ...a.plugged(), chainPem: [] }), 'ca-cert.pem: is missing'],
    ['another root', (a, b) => secret({ ...a.plugged(), rootsPem: b.rootsPem }), 'was not signed by a root'],
    [
      'another key',
      (a, b) => secret({ ...a.plugged(), keyPem: b.plugged().keyPem }),
      'is not that of its intermediate',
    ],
    ['a root that is none', (a) => secret({ ...a.plugged(), rootsPem: ['nonsense'] }), 'root-cert.pem: no certificate'],
    ['a stranger’s list', (a, b) => secret(a.plugged(), { 'ca-crl.pem': b.revocationList([]) }), 'ca-crl.pem: '],
  ])('does not come from a Secret with %s: it is refused, and says why', async (_, make, why) => {
    await using bench = await ControlPlaneBench.start()
    const components = { clock: bench.clock }
    const object = make(CertificateAuthority.create(components), CertificateAuthority.create(components))
    const kind = KINDS.find((definition) => definition.kind === 'Secret')!
    const request = {
      operation: 'create',
      kind,
      type: SECRETS,
      object,
      old: undefined,
      subresource: undefined,
    } as const
    const admit = () =>
      bench.controlPlane.apiHooks().admission!.forEach((hook) => {
        hook.admit({ ...request, user: USER, dryRun: false })
      })
    expect(admit).toThrow(expect.objectContaining({ code: 'Invalid', message: expect.stringContaining(why) }))
    // One that came into the store by another way changes nothing.
    const before = trust(bench)
    await bench.create(SECRETS, object)
    expect(trust(bench)).toEqual(before)
  })
})

describe('a rotation of the root', () => {
  it('goes in three steps, none of which cuts anybody off', async () => {
    await using bench = await ControlPlaneBench.start()
    const tell = await withPod(bench)
    const { signs: old } = state(bench)
    await tell(old, [old])
    await expect(take(bench, 'Sign')).rejects.toMatchObject({ code: 'Conflict', message: /Trust comes first/ })
    await expect(take(bench, 'Retire')).resolves.toMatchObject({ status: { signing: old, trusted: [old] } })

    const { status } = await take(bench, 'Trust')
    const next = status!.trusted.find((root) => root !== old)!
    expect(state(bench)).toEqual({ trusted: [old, next], signs: old })
    await take(bench, 'Trust')
    expect(state(bench)).toEqual({ trusted: [old, next], signs: old })
    await expect(take(bench, 'Sign')).rejects.toMatchObject({ message: /not everybody trusts.*default\/web/ })
    await expect(take(bench, 'Retire')).rejects.toMatchObject({ message: /Sign comes first/ })

    await tell(old, [old, next])
    await take(bench, 'Sign')
    expect(state(bench)).toEqual({ trusted: [old, next], signs: next })
    expect((await roots(bench)).map(({ metadata, spec }) => [metadata.name, spec?.state, spec?.certificates])).toEqual([
      [old, 'Trusted', 1],
      [next, 'Signing', 0],
    ])
    // Whoever goes on with an interrupted rotation may repeat what has been done.
    await take(bench, 'Trust')
    await take(bench, 'Sign')
    await expect(take(bench, 'Retire')).rejects.toMatchObject({ message: /not all certificates lead.*default\/web/ })

    await tell(next, [old, next])
    await take(bench, 'Retire')
    expect(state(bench)).toEqual({ trusted: [next], signs: next })
    expect((await take(bench, 'Trust')).status?.trusted).toHaveLength(2)
  })

  it('may be forced, goes on after a restart, and forgets lists that nobody can check any more', async () => {
    await using bench = await ControlPlaneBench.start()
    const tell = await withPod(bench)
    const { signs: old } = state(bench)
    await tell(old, [old])
    const revoke = bench.controlPlane.apiHooks().createOnly!['ambient.lab/certificaterevocations']!
    const revocation = (serialNumbers: readonly string[]) => ({
      object: {
        ...{ apiVersion: 'ambient.lab/v1', kind: 'CertificateRevocation', metadata: { name: 'x' } },
        spec: { serialNumbers },
      },
      ...{ user: USER, dryRun: false },
    })
    const revoked = Promise.all([revoke(revocation(['0a'])), revoke(revocation(['0A', '0B']))])
    await bench.settle()
    expect((await revoked).at(-1)).toMatchObject({ status: { revoked: 2 } })
    await take(bench, 'Trust')
    await using again = await ControlPlaneBench.start({ clock: bench.clock, store: bench.store })
    await take(again, 'Sign', true)
    expect(trust(again).revocationListsPem).toContain('X509 CRL')
    await take(again, 'Retire', true)
    expect(trust(again).revocationListsPem).toBe('')
    expect(trust(again).rootsPem).toHaveLength(1)
  })
})
