import { type TunnelSession, WsMtlsTransport } from '@ambient-lab/dataplane'
import { type CertificateAuthority, TrustBundle } from '@ambient-lab/pki'
import { systemClock } from '@ambient-lab/std'
import { eventually } from '@ambient-lab/testing'
import {
  type AmbientLab,
  callEcho,
  connectionLoad,
  EchoConnection,
  type LoadTarget,
  LoadWorld,
} from '@ambient-lab/testing/mesh'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { forgedSvid, serverNameOf, stolenAuthority } from './mesh-insider.ts'
import { items, node } from './objects.ts'

const PATIENCE = { timeoutMs: 30_000 }
/** Upper bound; each takes some ten seconds. */
const TIMEOUT = { timeout: 90_000 }

interface Root {
  readonly state: string
  readonly certificates: number
  readonly trustedBy: number
  readonly holders: number
}

let world: LoadWorld
let lab: AmbientLab
let direct: LoadTarget
let guarded: LoadTarget

beforeEach(async () => {
  // One service is reached directly, one through a waypoint.
  world = await LoadWorld.start({ name: 'roots', nodes: ['n1', 'n2'], serves: 'tcp', waypoint: 'guarded' })
  lab = world.lab
  direct = await world.target()
  guarded = await world.target('guarded')
}, 60_000)

afterEach(() => world[Symbol.asyncDispose]())

async function roots(): Promise<ReadonlyMap<string, Root>> {
  return new Map((await items<Root>(lab, 'trustroots')).map(({ metadata, spec }) => [metadata.name, spec]))
}

/** Tunnels of somebody who holds a certificate of this authority, and is told nothing of rotations. */
function straggler(authority: CertificateAuthority): () => Promise<TunnelSession> {
  const forged = forgedSvid(authority, 'load')
  return async () => {
    // It believes whoever answers, so that the answer says whether it is believed.
    const map = await lab.json<{ data: Record<string, string> }>('get', 'cm/istio-ca-root-cert', '-n', 'load')
    const svid = forged.withBundle(TrustBundle.parse(forged.id.trustDomain, map.data['root-cert.pem']!))
    const svids = { clientSvid: async () => svid, serverSvid: async () => svid }
    const transport = new WsMtlsTransport({ clock: systemClock, svids })
    const { hbone } = (await node(lab, 'n2')).agent!
    const [echo] = await items(lab, 'pods', '-n', 'load', '-l', 'app=echo')
    return transport.dial({
      ...{ source: svid.id, address: hbone, serverName: serverNameOf(echo!.status!.podIP, 'load') },
      ...{ expectedIds: [svid.id], fromNode: 'n1', toNode: 'n2' },
    })
  }
}

test(
  'the root of the mesh is replaced, and not one connection fails; then the old root opens no door',
  TIMEOUT,
  async () => {
    const [oldRoot] = [...(await roots()).keys()]
    const dial = straggler(stolenAuthority(lab))
    const tunnel = await dial()
    const standing = await Promise.all([EchoConnection.open(direct), EchoConnection.open(guarded)])
    for (const connection of standing) await connection.echo('hello')
    const loads = [connectionLoad(direct, 3), connectionLoad(guarded, 3)]
    const more = (count: number) => Promise.all(loads.map((load) => load.more(count)))
    await more(20)

    // Too early: nobody would know the new root.
    expect(await lab.run(['cert', 'rotate', '--root', '--step', 'sign', '--timeout', '1s'])).toMatchObject({ code: 75 })
    await lab.ok('cert', 'rotate', '--root', '--step', 'trust')
    const newRoot = [...(await roots()).keys()].find((name) => name !== oldRoot)!
    await more(20)
    await lab.ok('cert', 'rotate', '--root', '--step', 'sign')
    expect((await roots()).get(newRoot)).toMatchObject({ state: 'Signing', trustedBy: 3, holders: 3 })
    await more(20)
    expect(tunnel.acceptsStreams).toBe(true)
    await lab.ok('cert', 'rotate', '--root', '--step', 'retire')
    const after = await roots()
    expect([...after.keys()]).toEqual([newRoot])
    expect(after.get(newRoot)).toMatchObject({ state: 'Signing', certificates: 3, trustedBy: 3, holders: 3 })
    await more(20)
    await Promise.all(loads.map((load) => load.stop()))
    expect(loads.map(({ failed }) => failed)).toEqual([[], []])
    for (const connection of standing) await connection.echo('still here')

    // What stood is told to come in again, and is not let in.
    await eventually(() => !tunnel.acceptsStreams)
    await expect(dial()).rejects.toMatchObject({ code: 'UPGRADE_REFUSED' })
    const refusals = lab
      .log('node-n2')
      .split('\n')
      .filter((line) => line.includes('tunnel refused'))
    expect(refusals).toHaveLength(1)
    expect(refusals[0]).toContain('code="PEER_UNTRUSTED"')
  },
)

test('a rotation in one command survives the restart of everything', TIMEOUT, async () => {
  const [oldRoot] = [...(await roots()).keys()]
  const said = await lab.ok('cert', 'rotate', '--root')
  expect(said.split('\n').map((line) => line.split(':')[0])).toEqual(['trust', 'sign', 'retire', ''])
  const [newRoot, ...others] = [...(await roots()).keys()]
  expect(others).toEqual([])
  expect(newRoot).not.toBe(oldRoot)
  await lab.ok('restart', 'control-plane')
  await lab.ok('restart', 'node/n2')
  await lab.ok('wait', 'pods', '--all', '-n', 'load', '--for=condition=Ready', '--timeout', '30s')
  await eventually(async () => {
    await callEcho(direct, 'hello')
    return true
  }, PATIENCE)
  const all = { certificates: 3, trustedBy: 3, holders: 3 }
  await eventually(
    async () => expect([...(await roots())]).toEqual([[newRoot, expect.objectContaining(all)]]),
    PATIENCE,
  )
  for (const namespace of ['load', 'istio-system']) {
    const map = await lab.json<{ data: Record<string, string> }>('get', 'cm/istio-ca-root-cert', '-n', namespace)
    expect(map.data['root-cert.pem']!.match(/BEGIN CERTIFICATE/g)).toHaveLength(1)
  }
})

test(
  'certificates that are taken back close what stands with them, at ztunnels and at waypoints',
  TIMEOUT,
  async () => {
    const [waypoint] = await items(lab, 'pods', '-n', 'load', '-l', 'gateway.networking.k8s.io/gateway-name=waypoint')
    const viaWaypoint = await EchoConnection.open(guarded)
    const straight = await EchoConnection.open(direct)
    await lab.ok('cert', 'revoke', waypoint!.metadata.name, '-n', 'load')
    expect(await viaWaypoint.closed).toBe('reset')
    await expect(EchoConnection.open(guarded)).rejects.toThrow(/^SOCKS5/)
    await straight.echo('unharmed')

    await lab.ok('cert', 'revoke', 'echo', '-n', 'load')
    expect(await straight.closed).toBe('reset')
    await expect(EchoConnection.open(direct)).rejects.toThrow(/^SOCKS5/)
    await eventually(() => expect(lab.log('node-n1')).toContain('peer certificate revoked by CRL'))
    const lists = await lab.json<{ data: Record<string, string> }>('get', 'cm/istio-ca-crl', '-n', 'load')
    expect(lists.data['ca-crl.pem']).toContain('BEGIN X509 CRL')
  },
)
