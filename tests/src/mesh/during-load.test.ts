import { eventually } from '@ambient-lab/testing'
import {
  type AmbientLab,
  callEcho,
  callerPod,
  connectionLoad,
  EchoConnection,
  Load,
  type LoadTarget,
  LoadWorld,
} from '@ambient-lab/testing/mesh'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { isReady, node, processes } from './objects.ts'

/** Certificates of the lab live so long, and are rotated at half of it. */
const CERTIFICATE_TTL_SECONDS = 4
const DRAIN_SECONDS = 2
const PROGRAMS = 4
/** Connections that stand while an agent goes: so many that hang up in time, and so many that do not. */
const STANDING = 8
/** By nobody who listens, by a listener that closes, or by a ztunnel that takes nothing new: before a byte was sent. */
const TURNED_AWAY = /ECONNREFUSED|ECONNRESET|^SOCKS5: /
/** Upper bound; each takes some ten seconds, most of them waiting for what takes its time. */
const TIMEOUT = { timeout: 60_000 }

const DENY = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: deny, namespace: load }
spec: { action: DENY, rules: [{}] }
`

let world: LoadWorld
let lab: AmbientLab
let target: LoadTarget

beforeEach(async () => {
  const settings = {
    SECRET_TTL: `${CERTIFICATE_TTL_SECONDS}s`,
    CONNECTION_TERMINATION_DEADLINE: `${DRAIN_SECONDS}s`,
  }
  const more = callerPod('elsewhere', 'n3')
  world = await LoadWorld.start({ name: 'during-load', nodes: ['n1', 'n2', 'n3'], serves: 'tcp', more, settings })
  lab = world.lab
  target = await world.target()
}, 60_000)

afterEach(() => world[Symbol.asyncDispose]())

/** Works for as long as `body` takes, and a while before and after. */
function underLoad(body: () => Promise<void>): Promise<Load> {
  return connectionLoad(target, PROGRAMS).during(body, { before: 20, after: 20 })
}

async function leafSerials(): Promise<string> {
  const text = await lab.ok('zc', 'certificate')
  return text
    .split('\n')
    .filter((line) => line.includes(' Leaf '))
    .sort()
    .join('\n')
}

/** How many connections policy denied, as the destination's ztunnel counts them: before they stood, or later. */
async function denied(when: 'failed' | 'closed'): Promise<number> {
  const { ports } = (await node(lab, 'n2')).agent!
  const text = await (await fetch(`http://127.0.0.1:${ports.metrics}/metrics`)).text()
  const lines = text.split('\n').filter((line) => {
    return line.startsWith(`istio_tcp_connections_${when}_total{`) && line.includes('response_flags="DENY"')
  })
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}

test('certificates rotate and not one connection fails; those that are open stay open', TIMEOUT, async () => {
  const standing = await EchoConnection.open(target)
  const before = await leafSerials()
  const load = await underLoad(async () => {
    // Both workloads twice: the second rotation is of certificates that a rotation brought.
    for (let rotation = 0; rotation < 2; rotation += 1) {
      const now = (await leafSerials()).split('\n')
      await eventually(
        async () => {
          const next = await leafSerials()
          return now.every((line) => !next.includes(line))
        },
        { timeoutMs: 3 * CERTIFICATE_TTL_SECONDS * 1000, intervalMs: 200 },
      )
    }
  })
  expect(await leafSerials()).not.toBe(before)
  expect(load.failed).toEqual([])
  await standing.echo('still here')
})

test('the control plane is killed, and not one connection fails', TIMEOUT, async () => {
  const standing = await EchoConnection.open(target)
  const controlPlane = (await processes(lab)).find(({ role }) => role === 'control-plane')!
  const load = await underLoad(async () => {
    process.kill(controlPlane.pid, 'SIGKILL')
    await eventually(async () => (await lab.run(['get', 'nodes'])).code === 69)
  })
  expect(load.failed).toEqual([])
  await standing.echo('still here')
})

test(
  'a policy flips: what is open is closed at once, what begins is refused until it flips back, and nothing else fails',
  TIMEOUT,
  async () => {
    const standing = await Promise.all([1, 2, 3].map(() => EchoConnection.open(target)))
    for (const connection of standing) await connection.echo('hello')
    const load = await underLoad(async () => {
      await lab.run(['apply', '-f', '-'], { input: DENY })
      expect(await Promise.all(standing.map(({ closed }) => closed))).toEqual(['reset', 'reset', 'reset'])
      await lab.ok('delete', 'ap/deny', '-n', 'load')
    })
    const errors = (pattern: RegExp) => load.failed.filter(({ error }) => pattern.test(error)).length
    const refused = errors(/^SOCKS5: not allowed$/)
    const interrupted = errors(/^closed after /)
    // Nothing failed for another reason, and every refusal that a program saw is one that the destination counted.
    expect(load.failed).toHaveLength(refused + interrupted)
    expect(refused).toBeGreaterThan(0)
    expect(await denied('failed')).toBe(refused)
    // The three that stood, those in the middle of their line, and those whose program had hung up already: of each program
    // the last one, and on a slow machine the one before it.
    const cut = await denied('closed')
    expect(cut).toBeGreaterThanOrEqual(3 + interrupted)
    expect(cut).toBeLessThanOrEqual(3 + interrupted + 2 * PROGRAMS)
  },
)

test(
  'an agent restarts: what is open gets its time, what begins is turned away at the door until the next one stands in it, and elsewhere nothing fails',
  TIMEOUT,
  async () => {
    // The caller's node: no app of the lab runs there that would hang up of its own accord.
    const { pid } = (await node(lab, 'n1')).agent!
    const short = await openMany(STANDING)
    const long = await openMany(STANDING)
    const elsewhere = connectionLoad(await world.target('echo', 'elsewhere'), PROGRAMS)
    const back = Promise.withResolvers<LoadTarget>()
    let door = target
    // A program that was turned away knocks again when there is somebody to answer.
    const here = new Load({ programs: PROGRAMS }, async (load) => {
      if (!(await load.attempt((number) => callEcho(door, `line ${number}`)))) door = await back.promise
    })
    await Promise.all([here.more(20), elsewhere.more(20)])

    process.kill(pid, 'SIGTERM')
    for (const connection of short) {
      await connection.echo('a last word')
      connection.end()
    }
    for (const connection of long) await connection.echo('not done yet')
    expect(await Promise.all(short.map(({ closed }) => closed))).toEqual(Array(STANDING).fill('ended'))
    expect(await Promise.all(long.map(({ closed }) => closed))).toEqual(Array(STANDING).fill('reset'))
    await eventually(() => here.failed.length === PROGRAMS)
    expect(here.failed.filter(({ error }) => !TURNED_AWAY.test(error))).toEqual([])
    // Each connection that stood was recorded, once, with its cause.
    const { completed } = here
    await eventually(() => {
      const lines = lab.log('node-n1').split('\n')
      const complete = lines.filter((line) => line.includes('\taccess\tconnection complete\t'))
      const cut = complete.filter((line) => line.includes('error="connection failed to drain within the timeout"'))
      const well = complete.filter((line) => !line.includes('error='))
      expect({ cut: cut.length, well: well.length }).toEqual({ cut: STANDING, well: completed + STANDING })
      return true
    })

    await lab.ok('restart', 'node/n1')
    await eventually(async () => (await isReady(lab, 'n1')) && (await node(lab, 'n1')).agent!.pid !== pid, {
      timeoutMs: 15_000,
    })
    await lab.ok('wait', 'pods', '--all', '-n', 'load', '--for=condition=Ready', '--timeout', '30s')
    back.resolve(await world.target())
    await Promise.all([here.more(20), elsewhere.more(20)])
    await Promise.all([here.stop(), elsewhere.stop()])
    expect(here.failed).toHaveLength(PROGRAMS)
    expect(elsewhere.failed).toEqual([])
  },
)

async function openMany(count: number): Promise<readonly EchoConnection[]> {
  const connections = await Promise.all(Array.from({ length: count }, () => EchoConnection.open(target)))
  for (const connection of connections) await connection.echo('hello')
  return connections
}
