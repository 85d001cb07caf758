import { type CodedError, SeededRandom, VirtualClock } from '@ambient-lab/std'
import { expect, it } from 'vitest'
import { DiscoveryClient, type DiscoveryClientHandlers } from './client.ts'
import { discoveryError } from './errors.ts'
import { PUSH_INTERVAL_MS } from './limits.ts'
import { createMemoryLinkPair, type MemoryLinkPair } from './link/memory-link.ts'
import type { Delta, Reject, Report, WorkloadReport } from './messages.ts'
import {
  ADDRESS_TYPE,
  ASSIGNMENT_TYPE,
  L7_PROXY_TYPE,
  type L7Proxy,
  NODE_TYPE,
  type Node,
  TYPE_URLS,
  type TypeUrl,
} from './resources/index.ts'
import { DiscoverySession, type DiscoverySessionHandlers } from './server.ts'
import { VersionedResources } from './versioned-resources.ts'

const LATENCY_MS = 1

/** One control plane and one agent, with everything they were told. */
class Bench {
  readonly clock = new VirtualClock()
  resources = new VersionedResources()
  readonly links: MemoryLinkPair[] = []
  readonly deltas: Pick<Delta, 'typeUrl' | 'upserts' | 'removed'>[] = []
  readonly reports: Report[] = []
  readonly nacks: Reject[] = []
  readonly refusals: CodedError[] = []
  readonly disconnects: CodedError[] = []
  session!: DiscoverySession
  reachable = true
  refuse: (name: string) => string | undefined = () => undefined
  serverHandlers: Partial<DiscoverySessionHandlers> = {}
  clientHandlers: Partial<DiscoveryClientHandlers> = {}
  readonly client: DiscoveryClient

  constructor() {
    this.client = new DiscoveryClient({
      clock: this.clock,
      random: new SeededRandom(1),
      connect: async () => {
        if (!this.reachable) throw discoveryError('CONTROL_PLANE_UNREACHABLE', 'nobody listens')
        return this.#connect()
      },
      handlers: {
        hello: () => ({
          ...{ node: 'n1', version: '0.1.0', pid: 1, startedAtMs: 0, machine: 'here' },
          ...{ hbone: { host: 'h', port: 1 }, underlay: { host: 'h', port: 2 } },
          ports: { admin: 3, metrics: 4, ready: 5 },
        }),
        apply: (typeUrl, upserts, removed) => {
          this.deltas.push({ typeUrl, upserts, removed })
          return upserts.flatMap(({ name }) => {
            const reason = this.refuse(name)
            return reason === undefined ? [] : { name, reason }
          })
        },
        calls: {
          traffic: async () => ({ atMs: this.clock.now(), connections: [], lost: 7, edges: [] }),
          log: async () => Promise.reject(discoveryError('NODE_UNKNOWN', 'no such workload')),
          review: async () => ({ checkpoints: [] }),
          replay: async () => ({ decisions: 0, flips: [], refused: [] }),
          requests: async () => ({ requests: [] }),
        },
        onRefused: (reason) => this.refusals.push(reason),
        onState: (state) => {
          if (!state.connected) this.disconnects.push(state.reason)
        },
        ...this.clientHandlers,
      },
    })
  }

  async join(): Promise<void> {
    this.client.start()
    await this.clock.advance(50)
  }

  node(name: string, fields: Partial<Node> = {}): void {
    this.resources.set(NODE_TYPE, name, { name, podCidr: '', status: 'HEALTHY', ...fields })
  }

  /** Names that were sent of a type, push by push; pushes without any are left out. */
  sent(typeUrl: TypeUrl = NODE_TYPE): string[][] {
    const pushes = this.deltas.filter((delta) => delta.typeUrl === typeUrl)
    return pushes.map(({ upserts }) => upserts.map(({ name }) => name)).filter((names) => names.length > 0)
  }

  #connect() {
    const pair = createMemoryLinkPair(this.clock, { latencyMs: LATENCY_MS, queueHigh: 12 })
    this.links.push(pair)
    this.session = new DiscoverySession({
      link: pair.controlPlane,
      resources: this.resources,
      clock: this.clock,
      handlers: {
        onHello: () => ({
          ...{ type: 'welcome', version: '0.1.0', trustDomain: 'cluster.local' },
          ...{ clusterId: 'Kubernetes', clusterDomain: 'cluster.local', network: '' },
        }),
        onSign: async ({ id, csrPem }) => ({ type: 'signed', id, chainPem: [csrPem], rootsPem: ['root'] }),
        onReport: (report) => this.reports.push(report),
        onReject: (reject) => this.nacks.push(reject),
        onAcknowledge: () => {},
        onClose: () => {},
        ...this.serverHandlers,
      },
    })
    return pair.agent
  }
}

it('tells a new agent everything of each type once, and that there is nothing of the others', async () => {
  const bench = new Bench()
  bench.node('n1')
  bench.node('n2')
  expect(bench.client.pendingTypes).toEqual(TYPE_URLS)
  await bench.join()
  expect(bench.client.pendingTypes).toEqual([])
  expect(bench.deltas.map(({ typeUrl }) => typeUrl)).toEqual(TYPE_URLS)
  expect(bench.sent()).toEqual([['n1', 'n2']])
})

it('merges changes of one turn into one push, the last state of each', async () => {
  const bench = new Bench()
  await bench.join()
  bench.node('n1', { podCidr: 'a' })
  bench.node('n1', { podCidr: 'b' })
  bench.node('n2')
  bench.node('n3')
  bench.resources.delete(NODE_TYPE, 'n3')
  await bench.clock.advance(50)
  expect(bench.sent()).toEqual([['n1', 'n2']])
  expect(bench.deltas.at(-1)!.upserts[0]!.resource).toMatchObject({ podCidr: 'b' })
  expect(bench.deltas.at(-1)!.removed).toEqual([])
})

it('sends a change that comes alone with the turn that made it, and those of a flood at intervals', async () => {
  const bench = new Bench()
  await bench.join()
  const startMs = bench.clock.now()
  const pushed: number[] = []
  const apply = bench.deltas.push.bind(bench.deltas)
  bench.deltas.push = (...deltas) => {
    pushed.push(bench.clock.now() - startMs - LATENCY_MS)
    return apply(...deltas)
  }
  for (let change = 0; change < 25; change += 1) {
    bench.node('n1', { podCidr: String(change) })
    await bench.clock.advance(1)
  }
  await bench.clock.advance(100)
  expect(pushed).toEqual([0, 1, 2, 3].map((push) => push * PUSH_INTERVAL_MS))
  expect(bench.deltas.at(-1)!.upserts[0]!.resource).toMatchObject({ podCidr: '24' })
})

it('has one push of a type outstanding, and merges what changes until it is acknowledged', async () => {
  const bench = new Bench()
  await bench.join()
  bench.links[0]!.agent.stall()
  bench.node('n1')
  await bench.clock.advance(20)
  bench.node('n2')
  await bench.clock.advance(20)
  bench.node('n2', { podCidr: 'x' })
  bench.node('n3')
  await bench.clock.advance(20)
  expect(bench.sent()).toEqual([['n1']])
  expect(bench.session.acknowledgedVersion(NODE_TYPE, 'n1')).toBeUndefined()
  bench.links[0]!.agent.resume()
  await bench.clock.advance(20)
  expect(bench.sent()).toEqual([['n1'], ['n2', 'n3']])
  expect(bench.session.acknowledgedVersion(NODE_TYPE, 'n1')).toBe(bench.resources.get(NODE_TYPE, 'n1')!.version)
})

it('says nothing of a later type while news of an earlier one waits', async () => {
  const bench = new Bench()
  await bench.join()
  bench.links[0]!.agent.stall()
  bench.node('n1')
  await bench.clock.advance(20)
  bench.node('n2')
  bench.resources.set(L7_PROXY_TYPE, 'p', { name: 'p' } as L7Proxy)
  await bench.clock.advance(20)
  bench.deltas.length = 0
  bench.links[0]!.agent.resume()
  await bench.clock.advance(20)
  expect(bench.deltas.map(({ typeUrl }) => typeUrl)).toEqual([NODE_TYPE, L7_PROXY_TYPE])
})

it('takes the good ones of a push when one is refused, and does not send that one again before it changes', async () => {
  const bench = new Bench()
  bench.refuse = (name) => (name === 'bad' ? 'podCidr is missing' : undefined)
  bench.node('good')
  bench.node('bad')
  await bench.join()
  expect(bench.nacks.map(({ errors }) => errors)).toEqual([[{ name: 'bad', reason: 'podCidr is missing' }]])
  expect(bench.session.acknowledgedVersion(NODE_TYPE, 'good')).toBeDefined()
  expect(bench.session.acknowledgedVersion(NODE_TYPE, 'bad')).toBeUndefined()
  bench.node('other')
  await bench.clock.advance(50)
  expect(bench.sent()).toEqual([['good', 'bad'], ['other']])
  bench.refuse = () => undefined
  bench.node('bad', { podCidr: 'x' })
  await bench.clock.advance(50)
  expect(bench.sent().at(-1)).toEqual(['bad'])
  expect(bench.session.acknowledgedVersion(NODE_TYPE, 'bad')).toBeDefined()
})

it('resumes with nothing to send when nothing changed, even after a restart of the control plane', async () => {
  const bench = new Bench()
  bench.node('n1')
  await bench.join()
  bench.deltas.length = 0
  bench.resources = new VersionedResources()
  bench.node('n1')
  bench.links[0]!.agent.cut()
  await bench.clock.advance(100)
  expect(bench.links).toHaveLength(2)
  expect(bench.deltas.map(({ upserts, removed }) => [upserts, removed])).toEqual(TYPE_URLS.map(() => [[], []]))
})

it('learns on reconnect what was changed and what was removed meanwhile', async () => {
  const bench = new Bench()
  for (const name of ['kept', 'changed', 'removed']) bench.node(name)
  await bench.join()
  bench.deltas.length = 0
  bench.reachable = false
  bench.links[0]!.agent.cut()
  bench.node('changed', { podCidr: 'x' })
  bench.resources.delete(NODE_TYPE, 'removed')
  await bench.clock.advance(500)
  bench.reachable = true
  await bench.clock.advance(2000)
  const delta = bench.deltas.find(({ typeUrl }) => typeUrl === NODE_TYPE)!
  expect(delta.upserts.map(({ name }) => name)).toEqual(['changed'])
  expect(delta.removed).toEqual(['removed'])
})

it('is sent a refused resource again after a reconnect, since it does not hold it', async () => {
  const bench = new Bench()
  bench.refuse = () => 'no'
  bench.node('n1')
  await bench.join()
  bench.refuse = () => undefined
  bench.links[0]!.agent.cut()
  await bench.clock.advance(100)
  expect(bench.sent()).toEqual([['n1'], ['n1']])
})

it('keeps a resource of one node from the others, and takes it away when it moves', async () => {
  const bench = new Bench()
  const set = (node: string) => bench.resources.set(ASSIGNMENT_TYPE, 'pod', { uid: 'pod' } as never, [node])
  set('n2')
  await bench.join()
  expect(bench.sent(ASSIGNMENT_TYPE)).toEqual([])
  set('n1')
  await bench.clock.advance(50)
  expect(bench.sent(ASSIGNMENT_TYPE)).toEqual([['pod']])
  set('n2')
  await bench.clock.advance(50)
  expect(bench.deltas.at(-1)).toMatchObject({ typeUrl: ASSIGNMENT_TYPE, upserts: [], removed: ['pod'] })
})

it('connects again with growing delays, and keeps what it holds meanwhile', async () => {
  const bench = new Bench()
  bench.node('n1')
  await bench.join()
  bench.reachable = false
  bench.links[0]!.agent.cut()
  await bench.clock.advance(5000)
  expect(bench.disconnects.length).toBeGreaterThan(8)
  expect(bench.disconnects.length).toBeLessThan(16)
  expect(bench.client.pendingTypes).toEqual([])
  bench.reachable = true
  await bench.clock.advance(1000)
  expect(bench.client.connected).toBe(true)
})

it.each(['VERSION_MISMATCH', 'NODE_UNKNOWN', 'REPLACED'] as const)('does not try again after %s', async (code) => {
  const bench = new Bench()
  bench.serverHandlers = {
    onHello: () => {
      throw discoveryError(code, 'go away')
    },
  }
  await bench.join()
  await bench.clock.advance(10_000)
  expect(bench.links).toHaveLength(1)
  expect(bench.refusals.map((reason) => [reason.code, reason.message])).toEqual([[code, 'go away']])
})

it('has certificates signed, and hears why not', async () => {
  const bench = new Bench()
  await bench.join()
  const signed = bench.client.sign('csr', 60)
  await bench.clock.advance(10)
  expect(await signed).toEqual({ chainPem: ['csr'], rootsPem: ['root'] })
  bench.serverHandlers = { onSign: async () => Promise.reject(discoveryError('NODE_UNKNOWN', 'not yours')) }
  bench.links[0]!.agent.cut()
  await bench.clock.advance(100)
  const refused = bench.client.sign('csr', 60)
  refused.catch(() => {})
  await bench.clock.advance(10)
  await expect(refused).rejects.toMatchObject({ code: 'NODE_UNKNOWN', message: 'not yours' })
})

it('fails a certificate request when the link is lost or down, so that its owner tries again', async () => {
  const bench = new Bench()
  await bench.join()
  const pending = bench.client.sign('csr', 60)
  pending.catch(() => {})
  bench.reachable = false
  bench.links[0]!.agent.cut()
  await expect(pending).rejects.toMatchObject({ code: 'CONTROL_PLANE_UNREACHABLE', retry: 'yes' })
  await expect(bench.client.sign('csr', 60)).rejects.toMatchObject({ code: 'CONTROL_PLANE_UNREACHABLE' })
})

it('answers questions, hands on refusals, and gives up on silence', async () => {
  const bench = new Bench()
  await bench.join()
  const traffic = bench.session.call('traffic', { edgesOnly: false })
  const log = bench.session.call('log', { tailLines: 1 })
  log.catch(() => {})
  await bench.clock.advance(10)
  expect(await traffic).toMatchObject({ lost: 7 })
  await expect(log).rejects.toMatchObject({ code: 'NODE_UNKNOWN', message: 'no such workload' })
  bench.links[0]!.agent.stall()
  const silent = bench.session.call('traffic', { edgesOnly: true }, 100)
  silent.catch(() => {})
  await bench.clock.advance(100)
  await expect(silent).rejects.toMatchObject({ code: 'CALL_TIMEOUT' })
})

it('merges reports while the link is slow: the last state of each workload, in few messages', async () => {
  const bench = new Bench()
  bench.resources.set(ASSIGNMENT_TYPE, 'a', { uid: 'a' } as never, ['n1'])
  await bench.join()
  bench.reports.length = 0
  bench.links[0]!.agent.stall()
  for (let restarts = 0; restarts < 100; restarts += 1) {
    bench.client.report({ workloads: [workload('a', restarts)] })
    await bench.clock.advance(1)
  }
  bench.links[0]!.agent.resume()
  await bench.clock.advance(50)
  expect(bench.reports.length).toBeLessThanOrEqual(13)
  expect(bench.reports.at(-1)!.workloads).toEqual([workload('a', 99)])
})

it('reports every workload that is assigned to it again after a reconnect', async () => {
  const bench = new Bench()
  for (const uid of ['a', 'b']) bench.resources.set(ASSIGNMENT_TYPE, uid, { uid } as never, ['n1'])
  await bench.join()
  bench.client.report({ workloads: [workload('a', 0), workload('b', 0)] })
  await bench.clock.advance(10)
  bench.resources.delete(ASSIGNMENT_TYPE, 'b')
  await bench.clock.advance(50)
  bench.reports.length = 0
  bench.links[0]!.agent.cut()
  await bench.clock.advance(100)
  expect(bench.reports.map(({ workloads }) => workloads)).toEqual([[workload('a', 0)]])
})

it('closes on a message at the wrong time', async () => {
  const clock = new VirtualClock()
  const { agent, controlPlane } = createMemoryLinkPair(clock)
  const closed: CodedError[] = []
  agent.start({ onMessage: () => {}, onClose: (reason) => closed.push(reason) })
  new DiscoverySession({ link: controlPlane, resources: new VersionedResources(), clock, handlers: NO_HANDLERS })
  agent.send({ type: 'ack', typeUrl: ADDRESS_TYPE, nonce: '1' })
  await clock.advance(10)
  expect(closed.map(({ code, message }) => [code, message])).toEqual([['PROTOCOL_VIOLATION', 'ack before hello']])
})

it('gives up an agent that does not say hello', async () => {
  const clock = new VirtualClock()
  const { agent, controlPlane } = createMemoryLinkPair(clock)
  const closed: CodedError[] = []
  agent.start({ onMessage: () => {}, onClose: (reason) => closed.push(reason) })
  new DiscoverySession({ link: controlPlane, resources: new VersionedResources(), clock, handlers: NO_HANDLERS })
  await clock.advance(6000)
  expect(closed.map(({ code }) => code)).toEqual(['HELLO_TIMEOUT'])
})

const NO_HANDLERS: DiscoverySessionHandlers = {
  onHello: () => {
    throw discoveryError('NODE_UNKNOWN', 'nobody')
  },
  onSign: () => Promise.reject(discoveryError('NODE_UNKNOWN', 'nobody')),
  onReport: () => {},
  onReject: () => {},
  onAcknowledge: () => {},
  onClose: () => {},
}

function workload(uid: string, restarts: number): WorkloadReport {
  const state = { phase: 'Running', ready: true, reason: '', message: '' } as const
  return { uid, ...state, restarts, startedAtMs: 0, captured: true, ports: {} }
}
