import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from '@ambient-lab/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { AmbientLab } from './ambient.ts'
import { ConnectionLoad, EchoConnection, type LoadTarget } from './connection-load.ts'
import { isReady, items, node, processes } from './objects.ts'

/** Certificates of the lab live so long, and are rotated at half of it. */
const CERTIFICATE_TTL_SECONDS = 4
const DRAIN_SECONDS = 2
const PROGRAMS = 4
/** Upper bound; each takes some ten seconds, most of them waiting for what takes its time. */
const TIMEOUT = { timeout: 60_000 }

const LAB = `
apiVersion: ambient.lab/v1
kind: Lab
metadata: { name: during-load }
spec:
  nodes: [{ name: n1 }, { name: n2 }]
  apply: [world.yaml]
`

/** The client is on n1, the server on n2: every connection crosses a tunnel. */
const WORLD = `
apiVersion: v1
kind: Namespace
metadata: { name: load, labels: { istio.io/dataplane-mode: ambient } }
---
apiVersion: v1
kind: Service
metadata: { name: echo, namespace: load }
spec: { selector: { app: echo }, ports: [{ name: tcp, port: 9000 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: echo, namespace: load, labels: { app: echo } }
spec: { nodeName: n2, containers: [{ name: echo, image: istio/tcp-echo-server, ports: [{ containerPort: 9000 }] }] }
---
apiVersion: v1
kind: Pod
metadata: { name: curl, namespace: load, labels: { app: curl } }
spec: { nodeName: n1, containers: [{ name: curl, image: curlimages/curl }] }
`

const DENY = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: deny, namespace: load }
spec: { action: DENY, rules: [{}] }
`

let lab: AmbientLab
let target: LoadTarget

beforeEach(async () => {
  lab = new AmbientLab({
    SECRET_TTL: `${CERTIFICATE_TTL_SECONDS}s`,
    CONNECTION_TERMINATION_DEADLINE: `${DRAIN_SECONDS}s`,
  })
  writeFileSync(join(lab.home, 'lab.yaml'), LAB)
  writeFileSync(join(lab.home, 'world.yaml'), WORLD)
  await lab.ok('up', join(lab.home, 'lab.yaml'), '--wait')
  await lab.ok('wait', 'pods', '--all', '-n', 'load', '--for=condition=Ready', '--timeout', '30s')
  target = await loadTarget()
})

afterEach(() => lab[Symbol.asyncDispose]())

/** The way of the client's programs to the server. */
async function loadTarget(): Promise<LoadTarget> {
  const [curl] = await items(lab, 'pods', '-n', 'load', '-l', 'app=curl')
  const { capture } = curl!.status!.ambientLab as { capture: LoadTarget['capture'] }
  return { capture, host: 'echo', port: 9000 }
}

/** Works for as long as `body` takes, and a while before and after. */
async function underLoad(body: () => Promise<void>): Promise<ConnectionLoad> {
  const load = new ConnectionLoad(target, PROGRAMS)
  const more = (count: number) => {
    const goal = load.completed + count
    return eventually(() => load.completed >= goal, { timeoutMs: 30_000 })
  }
  await more(20)
  await body()
  await more(20)
  await load.stop()
  return load
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
  'an agent restarts: what is open gets its time, and is cut with the reason when it takes longer',
  TIMEOUT,
  async () => {
    // The caller's node: no app of the lab runs there that would hang up of its own accord.
    const short = await EchoConnection.open(target)
    const long = await EchoConnection.open(target)
    const { pid } = (await node(lab, 'n1')).agent!
    process.kill(pid, 'SIGTERM')
    await short.echo('a last word')
    short.end()
    expect(await short.closed).toBe('ended')
    await long.echo('not done yet')
    expect(await long.closed).toBe('reset')
    const ends = await eventually(() => {
      const lines = lab.log('node-n1').split('\n')
      const complete = lines.filter((line) => line.includes('\taccess\tconnection complete\t'))
      return complete.length === 2 ? complete : undefined
    })
    expect(ends[0]).not.toContain('error=')
    expect(ends[1]).toContain('error="connection failed to drain within the timeout"')

    await lab.ok('restart', 'node/n1')
    await eventually(async () => (await isReady(lab, 'n1')) && (await node(lab, 'n1')).agent!.pid !== pid, {
      timeoutMs: 15_000,
    })
    await lab.ok('wait', 'pods', '--all', '-n', 'load', '--for=condition=Ready', '--timeout', '30s')
    const again = await EchoConnection.open(await loadTarget())
    await again.echo('hello again')
  },
)
