import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { CodedError, readProcessRecords, SeededRandom, systemClock } from '@ambient-lab/std'
import { ADDRESS_TYPE, ASSIGNMENT_TYPE, type Assignment, LOAD_RUN_TYPE, type Workload } from '@ambient-lab/xds'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Agent, type AgentComponents } from './agent.ts'
import { parseConfig } from './config.ts'
import { exitCodeOf } from './exit-codes.ts'
import { AgentAppClient } from './hosting/app-client.ts'
import { Socks5Agent } from './hosting/socks5-agent.ts'
import { FakeControlPlane } from './test-kit/fake-control-plane.ts'

let lab: string
let plane: FakeControlPlane
const agents: Agent[] = []
const ends: (CodedError | undefined)[] = []

beforeEach(async () => {
  lab = mkdtempSync(join(tmpdir(), 'lab-'))
  plane = await new FakeControlPlane().listen()
  ends.length = 0
})
afterEach(async () => {
  await Promise.all(agents.splice(0).map((agent) => agent.stop()))
  await plane.close()
  rmSync(lab, { recursive: true })
})

function create(options: { token?: string; flags?: readonly string[] } = {}): Agent {
  const stdin = new PassThrough()
  if (options.token !== undefined) stdin.end(`${options.token}\n`)
  const required = ['--node', 'n1', '--state-dir', join(lab, 'agents/n1'), '--lab-dir', lab]
  const source = options.token === undefined ? [] : ['--token-file', '-']
  const components: AgentComponents = {
    clock: systemClock,
    random: new SeededRandom(1),
    environment: process.env,
    stdin,
    logSink: () => {},
    onEnd: (reason) => ends.push(reason),
  }
  const agent = new Agent(parseConfig([...required, ...source, ...(options.flags ?? [])], {}), components)
  agents.push(agent)
  return agent
}

const uid = (name: string) => `Kubernetes//Pod/default/${name}`
const until = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 8000, interval: 10 })
const ready = (name: string) => until(() => expect(plane.workloads.get(uid(name))?.ready).toBe(true))

/** Places a pod on n1: what it runs, and what proxies know of it. */
function place(name: string, image: string, address: string, containerPort = 5000): void {
  const assignment: Assignment = {
    uid: uid(name),
    name,
    namespace: 'default',
    serviceAccount: name,
    address,
    captured: true,
    labels: {},
    containers: [{ name, image, command: [], args: [], env: {}, ports: [{ containerPort, protocol: 'TCP' }] }],
    generation: 1,
  }
  const workload: Workload = {
    uid: uid(name),
    name,
    namespace: 'default',
    addresses: [address],
    hostname: '',
    network: '',
    tunnelProtocol: 'HBONE',
    trustDomain: 'cluster.local',
    serviceAccount: name,
    node: 'n1',
    clusterId: 'Kubernetes',
    canonicalName: name,
    canonicalRevision: 'latest',
    workloadType: 'POD',
    workloadName: name,
    nativeTunnel: false,
    authorizationPolicies: [],
    status: 'HEALTHY',
    services: {},
    capacity: 1,
    networkMode: 'STANDARD',
  }
  plane.resources.set(ADDRESS_TYPE, uid(name), { workload })
  plane.resources.set(ASSIGNMENT_TYPE, uid(name), assignment, ['n1'])
}

async function fetchFrom(name: string, url: string): Promise<string> {
  const capture = plane.workloads.get(uid(name))!.capture!
  const agent = new Socks5Agent({ capture, clock: systemClock, keepAlive: false })
  const client = new AgentAppClient({ agent, clock: systemClock })
  return (await client.fetch({ url, timeoutMs: 8000 })).body.toString('utf8')
}

describe('joins', () => {
  test('with a token, says where it is, and needs none the next time', async () => {
    const first = create({ token: plane.tokenText('n1') })
    const ports = await first.start()
    expect(plane.hellos[0]).toMatchObject({
      node: 'n1',
      pid: process.pid,
      hbone: { host: '127.0.0.1', port: ports.hbone },
      underlay: { host: '127.0.0.1', port: ports.underlay },
      ports: { admin: ports.admin, metrics: ports.metrics, ready: ports.ready },
    })
    expect(readProcessRecords(join(lab, 'processes'))).toMatchObject([{ role: 'node-agent', name: 'n1', ports }])
    await until(() => expect(plane.events).toMatchObject([{ reason: 'Joined', severity: 'Normal' }]))
    await first.stop()
    expect(readProcessRecords(join(lab, 'processes'))).toEqual([])

    await create().start()
    expect(plane.hellos).toHaveLength(2)
    expect(plane.posted).toHaveLength(1)
  })

  test('not without a token', async () => {
    const error = await create()
      .start()
      .catch((reason) => reason)
    expect(error).toMatchObject({ code: 'TOKEN_MISSING' })
    expect(exitCodeOf(error)).toBe(66)
  })

  test.each([
    ['VERSION_MISMATCH', 76],
    ['NODE_UNKNOWN', 77],
    ['NODE_MISMATCH', 77],
  ])('and ends when the control plane says %s', async (code, exitCode) => {
    plane.refusal = new CodedError(code, 'no')
    const error = await create({ token: plane.tokenText('n1') })
      .start()
      .catch((reason) => reason)
    expect(error).toMatchObject({ code })
    expect(exitCodeOf(error)).toBe(exitCode)
  })

  test('and ends when its certificate is of an earlier life of the lab', async () => {
    const first = create({ token: plane.tokenText('n1') })
    await first.start()
    await first.stop()
    const { port } = plane
    await plane.close()
    plane = await new FakeControlPlane().listen(port)
    const error = await create()
      .start()
      .catch((reason) => reason)
    expect(error).toMatchObject({ code: 'CERTIFICATE_REFUSED' })
    expect(exitCodeOf(error)).toBe(77)
  })

  test('a taken port names its owner', async () => {
    const { admin } = await create({ token: plane.tokenText('n1') }).start()
    const error = await create({ flags: ['--admin-port', String(admin)] })
      .start()
      .catch((reason) => reason)
    expect(error).toMatchObject({ code: 'ADDRESS_IN_USE' })
    expect(error.message).toContain(`node-agent n1 (pid ${process.pid}) has it`)
    expect(exitCodeOf(error)).toBe(73)
  })
})

describe('runs what it is assigned', () => {
  beforeEach(async () => {
    place('hello', 'examples-helloworld-v1', '10.244.1.2')
    place('curl', 'curlimages/curl', '10.244.1.3')
  })

  test('and carries one workload’s request to another, with an identity each', async () => {
    const { admin } = await create({ token: plane.tokenText('n1') }).start()
    await ready('hello')
    await ready('curl')
    await until(() => expect(plane.workloads.get(uid('hello'))?.certificate?.state).toBe('Available'))
    expect(await fetchFrom('curl', 'http://10.244.1.2:5000/hello')).toBe('Hello version: v1, instance: hello\n')

    const traffic = await plane.session!.call('traffic', { edgesOnly: false })
    expect(traffic.connections.find(({ direction }) => direction === 'inbound')).toMatchObject({
      source: { workload: 'curl', identity: 'spiffe://cluster.local/ns/default/sa/curl' },
      destination: { workload: 'hello', identity: 'spiffe://cluster.local/ns/default/sa/hello' },
    })
    const dump = (await (await fetch(`http://127.0.0.1:${admin}/config_dump`)).json()) as Record<string, unknown[]>
    expect(dump.workloads).toHaveLength(2)
    expect(dump.certificates).toMatchObject([{ state: 'Available' }, { state: 'Available' }])
  })

  test('and answers for its logs and its own', async () => {
    await create({ token: plane.tokenText('n1') }).start()
    await ready('hello')
    await ready('curl')
    await fetchFrom('curl', 'http://10.244.1.2:5000/hello')
    await until(async () => {
      const { lines } = await plane.session!.call('log', { uid: uid('hello'), tailLines: 1 })
      expect(lines[0]).toMatch(/^GET \/hello HTTP\/1\.1 200/)
    })
    const own = await plane.session!.call('log', { tailLines: 100 })
    expect(own.lines.join('\n')).toContain('connected to the control plane')
    await expect(plane.session!.call('log', { uid: 'nobody', tailLines: 1 })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    })
  })

  test('and generates load from it, until told to stop', async () => {
    await create({ token: plane.tokenText('n1') }).start()
    await ready('hello')
    plane.resources.set(
      LOAD_RUN_TYPE,
      'default/l',
      {
        name: 'l',
        namespace: 'default',
        source: uid('curl'),
        url: 'http://10.244.1.2:5000/hello',
        method: 'GET',
        headers: {},
        body: '',
        ratePerSecond: 50,
        warmupMs: 0,
        bytes: 0,
        inFlightMax: 10,
      },
      ['n1'],
    )
    await until(() => expect(plane.loads.get('default/l')?.completed).toBeGreaterThan(10))
    expect(plane.loads.get('default/l')).toMatchObject({ state: 'running', failed: 0 })
    expect(Object.keys(plane.loads.get('default/l')!.outcomes)).toEqual(['200'])
    plane.resources.delete(LOAD_RUN_TYPE, 'default/l')
    await until(async () => {
      const before = (await plane.session!.call('traffic', { edgesOnly: false })).connections
      expect(before.filter(({ state }) => state === 'open')).toEqual([])
    })
  })

  test('and refuses what cannot run, without losing the rest', async () => {
    await create({ token: plane.tokenText('n1') }).start()
    await ready('hello')
    const bad = { name: 'b', namespace: 'default', source: '', url: '', method: '', headers: {}, body: '' }
    plane.resources.set(
      LOAD_RUN_TYPE,
      'default/b',
      { ...bad, ratePerSecond: 0, warmupMs: 0, bytes: 0, inFlightMax: 1 },
      ['n1'],
    )
    await until(() =>
      expect(plane.rejects).toMatchObject([{ errors: [{ name: 'default/b', reason: 'rate 0 is not positive' }] }]),
    )
  })

  test('and serves on when the control plane is gone, and finds the next one', async () => {
    const { ready: readyPort } = await create({ token: plane.tokenText('n1') }).start()
    await ready('hello')
    await ready('curl')
    const { port, authority } = plane
    await fetchFrom('curl', 'http://10.244.1.2:5000/hello')
    const { workloads } = plane
    await plane.close()
    plane = new FakeControlPlane(authority)
    for (const [name, report] of workloads) plane.workloads.set(name, report)
    expect(await fetchFrom('curl', 'http://10.244.1.2:5000/hello')).toContain('Hello')
    expect((await fetch(`http://127.0.0.1:${readyPort}/healthz/ready`)).status).toBe(200)
    plane.workloads.clear()
    await plane.listen(port)
    place('hello', 'examples-helloworld-v1', '10.244.1.2')
    place('curl', 'curlimages/curl', '10.244.1.3')
    await ready('hello')
    expect(plane.workloads.get(uid('hello'))?.restarts).toBe(0)
  })
})

test('is not ready before it knows everything once', async () => {
  const agent = create({ token: plane.tokenText('n1'), flags: ['--ready-port', '0'] })
  const ports = await agent.start()
  const url = `http://127.0.0.1:${ports.ready}/healthz/ready`
  await until(async () => expect(await (await fetch(url)).text()).toBe('ready\n'))
})

test('two that end at once end once, and hands back its ports', async () => {
  const agent = create({ token: plane.tokenText('n1') })
  const ports = await agent.start()
  await Promise.all([agent.stop(), agent.stop()])
  await expect(fetch(`http://127.0.0.1:${ports.admin}/`)).rejects.toThrow()
})

test('tells everything that a ztunnel tells about itself', async () => {
  const { metrics, ready } = await create({ token: plane.tokenText('n1') }).start()
  await until(async () => expect((await fetch(`http://127.0.0.1:${ready}/healthz/ready`)).status).toBe(200))
  const text = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text()
  const families = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name!, type!]))
  expect(Object.fromEntries(families)).toMatchObject({
    istio_tcp_connections_opened_total: 'counter',
    istio_tcp_connections_closed_total: 'counter',
    istio_tcp_connections_failed_total: 'counter',
    istio_tcp_received_bytes_total: 'counter',
    istio_tcp_sent_bytes_total: 'counter',
    istio_tcp_sockets_open: 'gauge',
    istio_on_demand_dns_total: 'counter',
    istio_dns_requests_total: 'counter',
    istio_dns_upstream_requests_total: 'counter',
    istio_dns_upstream_failures_total: 'counter',
    istio_dns_upstream_request_duration_seconds: 'histogram',
    istio_build: 'gauge',
    istio_xds_connection_terminations_total: 'counter',
    istio_xds_message_total: 'counter',
    istio_xds_message_bytes_total: 'counter',
    istio_active_proxy_count_total: 'gauge',
    istio_pending_proxy_count_total: 'gauge',
    istio_proxies_started_total: 'counter',
    istio_proxies_stopped_total: 'counter',
    istio_crl_policy_rejections_total: 'counter',
    istio_crl_untracked_connections_total: 'counter',
  })
  expect(text).toMatch(/^istio_xds_message_bytes_total\{url="type.googleapis.com\/ambient.lab.Node"\} [1-9]\d+$/m)
})

test('/quitquitquit asks its owner for the end', async () => {
  const { admin } = await create({ token: plane.tokenText('n1') }).start()
  await fetch(`http://127.0.0.1:${admin}/quitquitquit`, { method: 'POST' })
  expect(ends).toEqual([undefined])
})

test('the private key stays where only this user can read it', async () => {
  await create({ token: plane.tokenText('n1') }).start()
  expect(readFileSync(join(lab, 'agents/n1/node.key'), 'utf8')).toContain('PRIVATE KEY')
  expect(JSON.stringify(plane.posted)).not.toContain('PRIVATE KEY')
})
