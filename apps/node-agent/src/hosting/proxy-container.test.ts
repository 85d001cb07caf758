import { EventEmitter } from 'node:events'
import type { Worker } from 'node:worker_threads'
import { SeededRandom, VirtualClock } from '@ambient-lab/std'
import { CLUSTER_TYPE, FILTER_CHAIN_TYPE, L7_PROXY_TYPE, sidecarGroup, type TypeUrl } from '@ambient-lab/xds'
import { expect, test } from 'vitest'
import { ProxyContainer } from './proxy-container.ts'
import type { ProxyCommand, ProxyPush, ProxySpec } from './proxy-protocol.ts'

const SPEC: ProxySpec = {
  ...{
    uid: 'c//Pod/shop/a',
    proxy: 'c//Pod/shop/a',
    node: 'n1',
    labels: {},
    host: '127.0.0.1',
    adminHost: '127.0.0.1',
  },
  identity: { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'a' },
  ...{ certificateTtlSeconds: 60, drainDeadlineMs: 1000 },
  pod: { name: 'a', namespace: 'shop', address: '10.244.1.5' },
}

/** A thread that hears everything and does nothing. */
class DeafThread extends EventEmitter {
  readonly heard: ProxyCommand[] = []

  postMessage(command: ProxyCommand): void {
    this.heard.push(command)
  }

  unref(): void {}
}

function push(typeUrl: TypeUrl, resources: readonly object[], removed: readonly string[] = []): ProxyPush {
  return { typeUrl, upserts: resources.map((resource, index) => ({ name: `r${index}`, resource })), removed }
}

function start(state: readonly ProxyPush[] = []) {
  const threads: DeafThread[] = []
  const clock = new VirtualClock()
  const container = new ProxyContainer(
    {
      ...{ clock, random: new SeededRandom(1), onStopped() {} },
      spawn: () => {
        threads.push(new DeafThread())
        return threads.at(-1)! as unknown as Worker
      },
      sign: () => Promise.reject(new Error('nobody asks')),
      state: () => state,
    },
    SPEC,
    { onChange() {}, onEvent() {} },
  )
  return { container, threads, clock }
}

const OWN = { proxy: SPEC.proxy }
const SHARED = { proxy: sidecarGroup('shop') }
const OTHERS = [{ proxy: 'c//Pod/shop/b' }, { proxy: sidecarGroup('other') }, { proxy: 'shop/waypoint' }]

test('a thread is told what concerns its proxy, and nothing of its neighbours', () => {
  const { container, threads } = start([push(FILTER_CHAIN_TYPE, [OWN, ...OTHERS, SHARED])])
  const [thread] = threads
  const kept = (command: ProxyCommand) => (command.type === 'start' ? command.state[0]!.upserts : [])
  expect(kept(thread!.heard[0]!).map(({ resource }) => resource)).toEqual([OWN, SHARED])
  thread!.heard.length = 0
  container.push(push(FILTER_CHAIN_TYPE, OTHERS))
  container.push(push(L7_PROXY_TYPE, [{ name: 'b' }], ['c//Pod/shop/b']))
  expect(thread!.heard).toEqual([])
  container.push(push(FILTER_CHAIN_TYPE, [], ['whoever']))
  container.push(push(CLUSTER_TYPE, [{ name: 'x' }]))
  container.push({ typeUrl: L7_PROXY_TYPE, upserts: [{ name: SPEC.proxy, resource: {} }], removed: [] })
  expect(thread!.heard.map((command) => command.type === 'push' && command.push.typeUrl)).toEqual([
    FILTER_CHAIN_TYPE,
    CLUSTER_TYPE,
    L7_PROXY_TYPE,
  ])
})

test('the thread after one that died takes its way out over, and knows where the pod listens', async () => {
  const { container, threads, clock } = start()
  expect(container.capture).toBeUndefined()
  container.setTargets({ '80': { host: '127.0.0.1', port: 4000 } })
  const capture = { host: '127.0.0.1', port: 4001 }
  threads[0]!.emit('message', { type: 'started', ports: { '15001': capture } })
  expect(container.capture).toEqual(capture)
  threads[0]!.emit('exit')
  expect(container.state).toMatchObject({ phase: 'waiting', reason: 'CrashLoopBackOff', restarts: 1 })
  expect(await clock.advanceUntil(() => threads.length === 2, 60_000)).toBe(true)
  expect(threads[1]!.heard).toMatchObject([
    { type: 'start', spec: { pod: { capturePort: 4001 } } },
    { type: 'targets', targets: { '80': { port: 4000 } } },
  ])
})
