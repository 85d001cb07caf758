import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SeededRandom, systemClock, VirtualClock } from '@ambient-lab/std'
import { TestCertificates } from '@ambient-lab/testing'
import type { AssignedContainer, Assignment, EventReport, WorkloadReport } from '@ambient-lab/xds'
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { checkOverSockets } from './hosting/probe.ts'
import { ProxyThreads } from './hosting/proxy-threads.ts'
import { SimulatedWorkloads } from './hosting/simulated-workloads.ts'
import { LoopbackMesh } from './test-kit/loopback-mesh.ts'
import { PROGRAMS } from './test-kit/programs.ts'
import { startWorkerThread } from './worker-thread.ts'
import { WorkloadHost } from './workload-host.ts'

const HELLO = 'examples-helloworld-v1'

let mesh: LoopbackMesh
let simulated: SimulatedWorkloads
let host: WorkloadHost
const reports = new Map<string, WorkloadReport>()
const events: EventReport[] = []
const identities: string[] = []
const workers: ReturnType<typeof startWorkerThread>[] = []
const certificates = new TestCertificates()
let proxies: ProxyThreads
const volumesDir = mkdtempSync(join(tmpdir(), 'ambient-volumes-'))
afterAll(() => rmSync(volumesDir, { recursive: true }))

beforeEach(() => {
  reports.clear()
  events.length = 0
  identities.length = 0
  mesh = new LoopbackMesh()
  const spawnNamed = (name: string) => () => {
    const worker = startWorkerThread(name)
    workers.push(worker)
    return worker
  }
  const spawn = spawnNamed('workloads')
  const random = new SeededRandom(1)
  proxies = new ProxyThreads(
    {
      clock: systemClock,
      random,
      spawn: spawnNamed('proxy'),
      sign: async (csr, ttl) => certificates.authority.signWorkload(csr, ttl),
    },
    { node: 'n1', host: '127.0.0.1', adminHost: '127.0.0.1', certificateTtlSeconds: 3600, drainDeadlineMs: 1000 },
  )
  simulated = new SimulatedWorkloads({ clock: systemClock, random, spawn }, { host: '127.0.0.1' })
  host = new WorkloadHost(
    {
      clock: systemClock,
      random,
      mesh,
      simulated,
      proxies,
      check: checkOverSockets(systemClock),
      environment: process.env,
      certificateOf: () => ({
        ...{ state: 'Available', notAfterMs: 1, reason: '', serialNumber: '11', root: 'a', trusts: ['a'] },
      }),
      onEvent: (event) => events.push(event),
      onReport: (report) => reports.set(report.uid, report),
      onIdentity: ({ serviceAccount }, used) => identities.push(`${used ? '+' : '-'}${serviceAccount}`),
    },
    { node: 'n1', host: '127.0.0.1', volumesDir, trust: () => ({ trustDomain: 'cluster.local' }) },
  )
})
afterEach(async () => {
  await host[Symbol.asyncDispose]()
  await simulated[Symbol.asyncDispose]()
  await mesh[Symbol.asyncDispose]()
  workers.length = 0
})

function container(image: string, rest: Partial<AssignedContainer> = {}): AssignedContainer {
  return {
    name: 'app',
    image,
    command: [],
    args: [],
    env: {},
    ports: [{ containerPort: 5000, protocol: 'TCP' }],
    ...rest,
  }
}

function assignment(name: string, containers: AssignedContainer[], rest: Partial<Assignment> = {}): Assignment {
  return {
    uid: name,
    name,
    namespace: 'default',
    serviceAccount: 'sa',
    address: '10.244.1.2',
    captured: true,
    labels: {},
    containers,
    generation: 1,
    ...rest,
  }
}

const until = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 8000, interval: 10 })
const ready = (name: string) => until(() => expect(reports.get(name)?.ready).toBe(true))

async function hello(name: string): Promise<string> {
  const target = mesh.workloads.get(name)!.dialTarget(5000)!
  return (await fetch(`http://${target.host}:${target.port}/hello`)).text()
}

test('runs a known image in the worker, and tells all about it', async () => {
  host.apply([assignment('hello', [container(HELLO)])], [])
  await ready('hello')
  expect(await hello('hello')).toBe('Hello version: v1, instance: hello\n')
  expect(reports.get('hello')).toMatchObject({
    phase: 'Running',
    reason: '',
    restarts: 0,
    capture: { host: '127.0.0.1' },
    ports: { '5000': { host: '127.0.0.1' } },
    certificate: { state: 'Available' },
  })
  expect(events).toMatchObject([{ reason: 'Started', severity: 'Normal', uid: 'hello' }])
  await until(async () => expect((await host.log('hello', 1))?.[0]).toContain('GET /hello'))
  expect(await host.captureOf('hello')).toEqual(reports.get('hello')?.capture)
})

test('all simulated workloads share one thread', async () => {
  host.apply([assignment('a', [container(HELLO)]), assignment('b', [container(HELLO)])], [])
  await ready('a')
  await ready('b')
  expect(workers).toHaveLength(1)
})

test('a removed workload is gone from the mesh and its port closed; nothing more is said of it', async () => {
  host.apply([assignment('hello', [container(HELLO)])], [])
  await ready('hello')
  const target = reports.get('hello')!.ports['5000']!
  reports.clear()
  host.apply([], ['hello'])
  await until(() => expect(mesh.workloads.has('hello')).toBe(false))
  await until(async () => expect(await checkOverSockets(systemClock)(target)).toContain('refused'))
  expect(reports.size).toBe(0)
  expect(events.at(-1)).toMatchObject({ reason: 'Killing' })
  expect(identities).toEqual(['+sa', '-sa'])
})

test('removed and assigned again at once, it runs', async () => {
  const wanted = assignment('hello', [container(HELLO)])
  host.apply([wanted], [])
  host.apply([], ['hello'])
  host.apply([{ ...wanted, generation: 5 }], [])
  await ready('hello')
  expect(await hello('hello')).toContain('Hello')
})

test('a higher generation restarts it and counts', async () => {
  const wanted = assignment('hello', [container(HELLO)])
  host.apply([wanted], [])
  await ready('hello')
  const before = reports.get('hello')!.ports['5000']!.port
  host.apply([{ ...wanted, generation: 2 }], [])
  await until(() => expect(reports.get('hello')).toMatchObject({ restarts: 1, ready: true }))
  expect(reports.get('hello')!.ports['5000']!.port).not.toBe(before)
})

test('enrolment and labels change without a restart', async () => {
  const wanted = assignment('hello', [container(HELLO)], { captured: false })
  host.apply([wanted], [])
  await ready('hello')
  const { ports } = reports.get('hello')!
  expect(reports.get('hello')).toMatchObject({ captured: false, capture: { host: '127.0.0.1' } })
  expect(reports.get('hello')).not.toHaveProperty('certificate')
  host.apply([{ ...wanted, captured: true, labels: { a: 'b' } }], [])
  await until(() => expect(mesh.workloads.get('hello')?.captured).toBe(true))
  expect(reports.get('hello')).toMatchObject({ ports, captured: true, certificate: { state: 'Available' } })
  expect(identities).toEqual(['+sa'])
})

test('an unknown image without a command waits, and says what the lab knows', async () => {
  host.apply([assignment('x', [container('nginx:1.27')])], [])
  await until(() => expect(reports.get('x')?.reason).toBe('ErrImageNeverPull'))
  expect(reports.get('x')).toMatchObject({ phase: 'Pending', ready: false })
  expect(reports.get('x')?.message).toContain('examples-bookinfo-productpage-v1')
  expect(events).toMatchObject([{ severity: 'Warning', reason: 'ErrImageNeverPull' }])
})

test('an unknown image with a command is a process', async () => {
  const command = [process.execPath, '-e', PROGRAMS.server]
  host.apply([assignment('own', [container('shop:1', { command })])], [])
  await ready('own')
  expect(reports.get('own')?.pid).toBeGreaterThan(0)
  await until(async () => expect(await host.log('own', 5)).toEqual([`pid ${reports.get('own')?.pid}`]))
})

describe('ambient.lab/endpoint', () => {
  test('is ready while it accepts', async () => {
    const server = createServer((socket) => socket.end())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    host.apply([assignment('db', [container('postgres')], { endpoint: `127.0.0.1:${port}` })], [])
    await ready('db')
    expect(mesh.workloads.get('db')?.dialTarget(5000)).toEqual({ host: '127.0.0.1', port })
    await new Promise((resolve) => server.close(resolve))
    await until(() => expect(reports.get('db')?.ready).toBe(false))
    expect(reports.get('db')?.message).toContain('connection refused')
    expect(events.at(-1)).toMatchObject({ reason: 'Unhealthy', severity: 'Warning' })
  })

  test.each(['nonsense', 'host:', 'host:99999', ':80'])('"%s" is refused in words', async (endpoint) => {
    host.apply([assignment('db', [], { endpoint })], [])
    await until(() => expect(reports.get('db')).toMatchObject({ phase: 'Failed', ready: false }))
    expect(reports.get('db')?.message).toContain('is not host:port')
  })
})

test('when the worker dies all its workloads are reported and come back', async () => {
  host.apply([assignment('a', [container(HELLO)]), assignment('b', [container(HELLO)])], [])
  await ready('a')
  await ready('b')
  await workers[0]!.terminate()
  await until(() => expect(reports.get('a')).toMatchObject({ ready: false, reason: 'CrashLoopBackOff', restarts: 1 }))
  expect(reports.get('b')).toMatchObject({ ready: false, restarts: 1 })
  expect(events.filter(({ reason }) => reason === 'BackOff')).toHaveLength(2)
  await ready('a')
  await ready('b')
  expect(await hello('b')).toContain('Hello')
  expect(workers).toHaveLength(2)
})

test('what no node could run is refused with its reason, the rest runs', async () => {
  const twice = assignment('twice', [container(HELLO), container(HELLO)])
  const refused = host.apply([twice, assignment('fine', [container(HELLO)])], [])
  expect(refused).toEqual([{ name: 'twice', reason: 'two containers are named app' }])
  await ready('fine')
})

test('whoever waits for a capture learns that the workload went away', async () => {
  expect(await host.captureOf('nobody')).toBeUndefined()
  host.apply([assignment('x', [container(HELLO)])], [])
  const waiting = host.captureOf('x')
  host.apply([], ['x'])
  expect(await waiting).toBeUndefined()
})

test('a crash loop of the thread waits longer each time', async () => {
  const clock = new VirtualClock()
  let spawned = 0
  const spawn = () => {
    spawned += 1
    return startWorkerThread('no-such')
  }
  await using own = new SimulatedWorkloads({ clock, random: new SeededRandom(1), spawn }, { host: '127.0.0.1' })
  const pod = { uid: 'u', name: 'p', namespace: 'd', serviceAccount: 's', address: '10.0.0.1', node: 'n', labels: {} }
  const spec = { name: 'c', image: HELLO, command: [], args: [], env: {}, ports: [] }
  const capture = { host: '127.0.0.1', port: 1 }
  const runner = own.run({ pod, spec, capture }, { onChange: () => {}, onEvent: () => {} })
  await until(() => expect(runner.state.restarts).toBe(1))
  await clock.advance(700)
  await until(() => expect(runner.state.restarts).toBe(2))
  await clock.advance(700)
  expect(spawned).toBe(2)
  await clock.advance(700)
  expect(spawned).toBe(3)
})

test('a replica of an L7 proxy runs in a thread of its own, which comes back when it dies and drains when it is stopped', async () => {
  const replica = (name: string) =>
    assignment(name, [container('istio/proxyv2')], { captured: false, proxy: 'default/waypoint' })
  const failing = { name: 'x', version: '1', resource: { name: 'x' } }
  expect(proxies.apply('type.googleapis.com/ambient.lab.Cluster', [failing], [])).toEqual([
    { name: 'x', reason: 'resource.endpoints.kind is unknown' },
  ])
  host.apply([replica('w1'), replica('w2')], [])
  await ready('w1')
  await ready('w2')
  expect(workers).toHaveLength(2)
  const { ports } = reports.get('w1')!
  const page = (port: string, path: string) => fetch(`http://127.0.0.1:${ports[port]!.port}${path}`)
  expect((await page('15021', '/healthz/ready')).status).toBe(200)
  expect(await (await page('15000', '/config_dump')).json()).toMatchObject({ filterChains: [], clusters: [] })
  expect(await checkOverSockets(systemClock)(ports['15008']!)).toBeUndefined()
  await workers[0]!.terminate()
  await until(() => expect(reports.get('w1')).toMatchObject({ ready: false, reason: 'CrashLoopBackOff', restarts: 1 }))
  expect(reports.get('w2')).toMatchObject({ ready: true, restarts: 0 })
  await ready('w1')
  const again = reports.get('w1')!.ports['15008']!
  host.apply([], ['w1', 'w2'])
  await until(async () => expect(await checkOverSockets(systemClock)(again)).toContain('refused'))
})

describe('a pod with a sidecar', () => {
  const pod = () => assignment('hello', [container(HELLO)], { captured: false, sidecar: true })
  const states = () => reports.get('hello')?.containers?.map(({ name, ready: is, restarts }) => [name, is, restarts])

  test('has it before its own containers, which have their way out through it', async () => {
    host.apply([pod()], [])
    await ready('hello')
    expect(states()).toEqual([
      ['app', true, 0],
      ['istio-proxy', true, 0],
    ])
    const { ports, capture, captured } = reports.get('hello')!
    expect(Object.keys(ports).sort()).toEqual(['15000', '15001', '15006', '15008', '15020', '15021', '5000'])
    expect(capture).toEqual(ports['15001'])
    expect(captured).toBe(false)
    expect(await host.captureOf('hello')).toEqual(capture)
    expect(mesh.workloads.get('hello')).toMatchObject({ captured: false, hasSidecar: true })
    // The mesh is shown the application's ports alone.
    expect(mesh.workloads.get('hello')!.dialTarget(15_008)).toBeUndefined()
    expect(await host.log('hello', 10)).toEqual(['listening on 5000'])
    expect(await host.log('hello', 10, 'istio-proxy')).toEqual([])
    // Nobody has called anybody, but the thread answers.
    expect(await proxies.edges()).toEqual([[]])
  })

  test('keeps its containers and its way out when the sidecar dies', async () => {
    host.apply([pod()], [])
    await ready('hello')
    const { capture } = reports.get('hello')!
    await workers[0]!.terminate()
    await until(() => expect(states()?.[1]).toEqual(['istio-proxy', false, 1]))
    expect(states()?.[0]).toEqual(['app', true, 0])
    expect((await proxies.edges()).flat()).toEqual([])
    await ready('hello')
    expect(reports.get('hello')).toMatchObject({ capture, restarts: 1 })
    expect(events.map(({ reason }) => reason)).toContain('BackOff')
  })

  test('ends both', async () => {
    host.apply([pod()], [])
    await ready('hello')
    host.apply([], ['hello'])
    await until(() => expect(host.workloads).toEqual([]))
    expect(events.filter(({ reason }) => reason === 'Killing').map(({ message }) => message)).toEqual([
      'Stopping container app',
      'Stopping container istio-proxy',
    ])
  })
})

describe('volumes of ConfigMaps', () => {
  const PROGRAM = `
    const { readFileSync, watchFile } = require('node:fs');
    const folder = process.env.VOLUME_CONFIG_VOLUME;
    const tell = () => { try { console.log('a=' + readFileSync(folder + '/a.txt')) } catch (e) { console.log(e.code) } };
    tell(); setInterval(tell, 20)`
  const file = (path: string, content: string) => ({ path, content, encoding: 'utf8' as const })
  const holding = (...files: ReturnType<typeof file>[]) => ({ volumes: { 'config-volume': { files } } })
  const mounts = [{ volume: 'config-volume', mountPath: '/etc/config' }]
  const program = container('', { command: [process.execPath, '-e', PROGRAM], ports: [], mounts })
  const lastLine = async () => (await host.log('p', 1))?.[0]

  test('a program finds real files, which are replaced and removed under it, and go with it', async () => {
    host.apply([assignment('p', [program], holding(file('a.txt', 'one')))], [])
    await until(async () => expect(await lastLine()).toBe('a=one'))
    const { pid } = reports.get('p')!
    host.apply([assignment('p', [program], holding(file('a.txt', 'two')))], [])
    await until(async () => expect(await lastLine()).toBe('a=two'))
    host.apply([assignment('p', [program], holding(file('b/c.txt', 'three')))], [])
    await until(async () => expect(await lastLine()).toBe('ENOENT'))
    expect(reports.get('p')).toMatchObject({ pid, restarts: 0 })
    expect(readdirSync(volumesDir)).toHaveLength(1)
    host.apply([], ['p'])
    await until(() => expect(readdirSync(volumesDir)).toEqual([]))
  })

  test('nothing starts before its ConfigMap is there; one that goes away later stays as it was', async () => {
    const missing = { volumes: { 'config-volume': { files: [], missing: 'configmap "c" not found' } } }
    host.apply([assignment('p', [program], missing)], [])
    await until(() => expect(reports.get('p')?.message).toBe('configmap "c" not found'))
    expect(reports.get('p')).toMatchObject({ phase: 'Pending', ready: false, reason: 'ContainerCreating' })
    host.apply([assignment('p', [program], holding(file('a.txt', 'one')))], [])
    await until(async () => expect(await lastLine()).toBe('a=one'))
    host.apply([assignment('p', [program], missing)], [])
    host.apply([assignment('p', [program], { ...missing, labels: { a: 'b' } })], [])
    await until(async () => expect(await lastLine()).toBe('a=one'))
    expect(reports.get('p')).toMatchObject({ message: '', restarts: 0 })
    expect(events.filter(({ reason }) => reason === 'FailedMount')).toHaveLength(1)
  })

  test('what cannot be written fails the pod, not the node', async () => {
    host.apply([assignment('p', [program], holding(file('a', ''), file('a/b', '')))], [])
    await until(() => expect(reports.get('p')).toMatchObject({ phase: 'Failed', reason: 'Error' }))
    expect(reports.get('p')!.message).toMatch(/^volumes cannot be written: /)
  })
})
